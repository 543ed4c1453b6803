#include "cli/render_backup.hpp"

#include <gtest/gtest.h>

namespace k4t::cli {
namespace {

using backup::LastCopy;
using backup::PlaceStanding;

const LastCopy last{"k4t-20260921T141320Z-v7-1a2b3c4d.copy", "1a2b", 7, 1000};

PlaceStanding standing(const std::string& place, bool elsewhere, bool current) {
  PlaceStanding one;
  one.place = place;
  one.elsewhere = elsewhere;
  one.current = current;
  if (current) one.last = last;
  return one;
}

TEST(RenderBackup, ShowsWhereEachPlaceStands) {
  auto failed = standing("n3", true, false);
  failed.last = last;
  failed.why = Error{Status::unavailable, "copies on n3: no\x1b[2J answer", {}};
  EXPECT_EQ(render_standings(
                {standing("n1", true, true), standing("n2", true, false), failed, standing("local", false, true)},
                1000 + 180, false),
            "\nCOPIES ON  STATE                                VERSION  MADE\n"
            "n1         current                              7        3 min ago\n"
            "n2         none yet                             -        never\n"
            "n3         failed: copies on n3: no?[2J answer  7        3 min ago\n"
            "local      current, on this machine             7        3 min ago\n");
  EXPECT_EQ(render_standings({}, 0, false), "");
}

TEST(RenderBackup, SaysInTheLastLineWhatIsKeptNowhere) {
  auto sent = standing("n1", true, true);
  sent.sent = true;
  auto silent = standing("n2", true, false);
  silent.why = Error{Status::deadline, "copies on n2: it does not answer", {}};
  EXPECT_EQ(render_sent({sent, silent}, false), "no copy: copies on n2: it does not answer\nMetadata copied to n1.\n");
  EXPECT_EQ(
      render_sent({silent}, false),
      "no copy: copies on n2: it does not answer\nnot copied: the metadata of this change is on this machine only; "
      "`k4t backup now` tries again\n");
  EXPECT_EQ(render_sent({standing("n1", true, true)}, false), "") << "it was there already";
  EXPECT_EQ(render_sent({standing("local", false, true)}, false),
            "not copied elsewhere: copies on this machine are lost with it; name another one in a [[backup]] table\n");
}

TEST(RenderBackup, ListsCopies) {
  const backup::CopyName name{1000, 7, "1a2b3c4d"};
  const std::vector<CopyLine> lines{{"n1", name, true, {}},
                                    {"n2", {}, {}, {}},
                                    {"n3", name, false, Error{Status::invalid_argument, "it is damaged", {}}}};
  EXPECT_EQ(render_copies(lines, 1000 + 180, false),
            "COPIES ON  COPY                                   VERSION  MADE       STATE\n"
            "n1         k4t-19700101T001640Z-v7-1a2b3c4d.copy  7        3 min ago  sound\n"
            "n2         -                                      -        -          none\n"
            "n3         k4t-19700101T001640Z-v7-1a2b3c4d.copy  7        3 min ago  it is damaged\n");
  EXPECT_EQ(copies_json(lines).at(2), Json::parse(R"({"place": "n3", "copy": "k4t-19700101T001640Z-v7-1a2b3c4d.copy",
                                                     "version": 7, "made_at_s": 1000, "sound": false, "why": "it is damaged"})"));
}

}  // namespace
}  // namespace k4t::cli
