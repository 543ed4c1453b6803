#include "backup/restore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/process.hpp"

namespace k4t::backup {
namespace {

namespace fs = std::filesystem;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A folder of this machine with copies of the cluster "demo" of three times.
class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    config_.host = "local";
    config_.path = (scratch_.path() / "copies").string();
    for (std::int64_t at_s : {1000, 2000, 3000}) put(at_s, "demo");
  }

  CopyName put(std::int64_t made_at_s, const std::string& cluster) {
    Copy copy;
    copy.header.cluster = cluster;
    copy.header.cluster_id = "id";
    copy.header.made_at_s = made_at_s;
    copy.header.version = static_cast<std::uint64_t>(made_at_s / 1000);
    copy.metadata = "of " + std::to_string(made_at_s);
    const auto file = *seal(copy, &key_);
    const CopyName name{made_at_s, copy.header.version, copy.header.digest.substr(0, 8)};
    EXPECT_TRUE(place().put(name, file, {}).ok());
    return name;
  }
  Place place(const std::string& cluster = "demo") const { return {config_, cluster, {}}; }
  Result<Fetched> fetched(std::optional<std::int64_t> at_s = {}, const std::string& cluster = "demo") const {
    auto from = place(cluster);
    return fetch(from, cluster, at_s, &key_, {});
  }
  [[nodiscard]] fs::path file(const CopyName& name) const { return fs::path(config_.path) / "demo" / name.text(); }

  Scratch scratch_;
  model::BackupPlace config_;
  const Key key_ = Key::draw();
};

TEST_F(RestoreTest, TakesTheNewestOrTheNewestOfATime) {
  EXPECT_EQ(fetched()->copy.metadata, "of 3000");
  EXPECT_EQ(fetched(2999)->copy.metadata, "of 2000");
  EXPECT_EQ(fetched(2000)->copy.metadata, "of 2000");
  EXPECT_EQ(fetched(999).status(), Status::not_found);
  EXPECT_THAT(fetched(999).error().message, HasSubstr("is younger: k4t-19700101T001640Z-v1-"));
  EXPECT_EQ(fetched({}, "other").status(), Status::not_found);
}

TEST_F(RestoreTest, NeverTakesAnotherOneInTheSteadOfABrokenOne) {
  const auto newest = put(4000, "demo");
  std::ofstream(file(newest), std::ios::app) << "x";
  EXPECT_EQ(fetched().status(), Status::invalid_argument);
  EXPECT_THAT(fetched().error().message, HasSubstr(newest.text()));
  EXPECT_EQ(fetched(3999)->copy.metadata, "of 3000");
}

TEST_F(RestoreTest, BelievesNoNameButTheHeader) {
  const CopyName young{9000, 9, "00000000"};
  fs::copy_file(file(fetched()->name), file(young));
  EXPECT_EQ(fetched().status(), Status::conflict);
  EXPECT_THAT(fetched().error().message, HasSubstr("under another's name"));
  fs::remove(file(young));
  put(5000, "stranger");
  EXPECT_THAT(fetched().error().message, HasSubstr("is a copy of the cluster 'stranger'"));
}

TEST_F(RestoreTest, TellsWhichClustersHaveCopies) {
  fs::create_directories(fs::path(config_.path) / "other");
  EXPECT_THAT(*clusters_at(config_, {}, {}), ElementsAre("demo", "other"));
  config_.path += "/nowhere";
  EXPECT_TRUE(clusters_at(config_, {}, {})->empty());
}

TEST_F(RestoreTest, ReplacesNoMetadataThatIsNotItsOwnOrNotMeant) {
  const auto folder = scratch_.path() / "state";
  Header header;
  header.cluster = "demo";
  header.cluster_id = "id";
  EXPECT_TRUE(may_replace(folder, header, false).ok()) << "there is none";
  {
    auto store = *store::Store::open(folder, "test");
    ASSERT_TRUE(store->claim_for("demo").ok());
    ASSERT_TRUE(store->set_cluster_id("id").ok());
  }
  EXPECT_TRUE(may_replace(folder, header, false).ok()) << "it is empty";
  {
    model::Service service;
    service.name = "web";
    auto store = *store::Store::open(folder, "test");
    ASSERT_TRUE(store->put_service(service).ok());
  }
  EXPECT_THAT(may_replace(folder, header, false).error().message, HasSubstr("--force puts it in its place"));
  EXPECT_TRUE(may_replace(folder, header, true).ok());
  header.cluster_id = "another";
  EXPECT_EQ(may_replace(folder, header, true).status(), Status::conflict) << "a cluster of the same name";
  header.cluster_id = "id";
  header.cluster = "other";
  EXPECT_EQ(may_replace(folder, header, true).status(), Status::conflict);
  header.cluster = "demo";
  std::ofstream(folder / "metadata.db", std::ios::binary | std::ios::trunc) << std::string(8192, 'x');
  EXPECT_TRUE(may_replace(folder, header, false).ok()) << "a damaged one is what a restore is for";
}

}  // namespace
}  // namespace k4t::backup
