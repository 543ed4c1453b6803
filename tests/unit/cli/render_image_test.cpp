#include "cli/render_image.hpp"

#include <gtest/gtest.h>

namespace k4t::cli {
namespace {

using operation::Delivered;
using operation::Delivery;

const std::vector<Delivery> deliveries{{"n1", "web:1", Delivered::loaded, 1'500'000, 1, 4, {}, {}},
                                       {"n2", "web:1", Delivered::loaded, 1'500'000, 1, 4, "n1", {}},
                                       {"n3", "web:1", Delivered::present, 0, 0, 4, {}, {}},
                                       {"n4",
                                        "web:1",
                                        Delivered::failed,
                                        0,
                                        0,
                                        4,
                                        {},
                                        Error{Status::unavailable, "node 'n4': no\x1b[2J answer", "secretive"}}};

TEST(RenderImage, ShowsWhatBecameOfEachImageOnEachNode) {
  EXPECT_EQ(render_deliveries(deliveries, false),
            "NODE  IMAGE  RESULT   SENT                   FROM  WHY\n"
            "n1    web:1  loaded   1.5 MB, 1 of 4 layers  here\n"
            "n2    web:1  loaded   1.5 MB, 1 of 4 layers  n1\n"
            "n3    web:1  present  -                      -\n"
            "n4    web:1  failed   -                      -     node 'n4': no?[2J answer\n");
}

TEST(RenderImage, SaysTheSameAsJson) {
  EXPECT_EQ(deliveries_json(deliveries), Json::parse(R"([
      {"node": "n1", "image": "web:1", "result": "loaded", "sent_bytes": 1500000, "sent_layers": 1, "layers": 4},
      {"node": "n2", "image": "web:1", "result": "loaded", "sent_bytes": 1500000, "sent_layers": 1, "layers": 4,
       "from": "n1"},
      {"node": "n3", "image": "web:1", "result": "present", "sent_bytes": 0, "sent_layers": 0, "layers": 4},
      {"node": "n4", "image": "web:1", "result": "failed", "why": "node 'n4': no\u001b[2J answer"}])"));
}

TEST(RenderImage, ShowsWhereImagesAre) {
  const std::vector<operation::ImageSight> sights{{"web:1", {"api", "web"}, {"n1"}, {"n2"}, {}},
                                                  {"job:2", {"job"}, {}, {}, {"n1", "n2"}}};
  EXPECT_EQ(render_image_sights(sights, false),
            "IMAGE  SERVICES  ON  NOT ON  UNKNOWN\n"
            "web:1  api, web  n1  n2      -\n"
            "job:2  job       -   -       n1, n2\n");
  EXPECT_EQ(image_sights_json(sights).at(1), Json::parse(R"({"image": "job:2", "services": ["job"], "on": [],
                                                             "not_on": [], "unknown": ["n1", "n2"]})"));
}

}  // namespace
}  // namespace k4t::cli
