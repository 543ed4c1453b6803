#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "k4t/gateway.hpp"
#include "plugin/catalog.hpp"
#include "plugin/messages.hpp"
#include "support/process.hpp"

namespace k4t::plugin {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

const fs::path kBuilt = fs::path(K4T_BINARY_DIR) / "tests" / "loader" / "lib";

class LoaderTest : public ::testing::Test {
 protected:
  /// A fresh, private copy of a built library.
  fs::path copy(const std::string& name, const std::string& as = {}) {
    const fs::path to = folder_ / ((as.empty() ? name : as) + ".so");
    fs::copy_file(kBuilt / (name + ".so"), to);
    fs::permissions(to, fs::perms(0755));
    return to;
  }

  /// "STATUS MESSAGE | DETAIL" of loading the file, with the folder's path shortened to "$".
  std::string failure(const fs::path& file, milliseconds timeout = std::chrono::seconds(5)) {
    const auto loaded = Library::load(file, timeout);
    if (loaded) return "loaded";
    const Error& error = loaded.error();
    std::string text = std::string(to_string(error.status)) + " " + error.message + " | " + error.detail;
    for (auto at = text.find(folder_.string()); at != std::string::npos; at = text.find(folder_.string())) {
      text.replace(at, folder_.string().size(), "$");
    }
    return text;
  }

  fs::path fresh_folder() {
    const fs::path folder = fs::canonical(scratch_.path()) / "plugins";
    fs::create_directory(folder);
    fs::permissions(folder, fs::perms(0755));
    return folder;
  }

  k4t::testing::Scratch scratch_;
  fs::path folder_ = fresh_folder();
};

TEST_F(LoaderTest, MissingFile) {
  EXPECT_EQ(
      failure(folder_ / "none.so"),
      "not_found K4T-PLG-001: plugin '$/none.so' does not exist. Check the path and [plugins] folders in k4t.toml. | ");
}

TEST_F(LoaderTest, UnreadableFile) {
  const fs::path file = copy("long_table");
  fs::permissions(file, fs::perms(0));
  fs::permissions(scratch_.path(), fs::perms(0755));
  // Root may read everything, so the attempt is made as nobody.
  const uid_t self = ::geteuid();
  ASSERT_EQ(::seteuid(self == 0 ? 65534 : self), 0);
  const std::string text = failure(file);
  ASSERT_EQ(::seteuid(self), 0);
  EXPECT_EQ(
      text,
      "unavailable K4T-PLG-002: plugin '$/long_table.so' cannot be read. Give the user that runs k4t the right to "
      "read it and to enter its folders. | Permission denied");
}

TEST_F(LoaderTest, NotRegularFile) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe.so").c_str(), 0600), 0);
  fs::create_directory(folder_ / "folder.so");
  EXPECT_EQ(failure(folder_ / "pipe.so"),
            "invalid_argument K4T-PLG-003: plugin '$/pipe.so' is not a regular file. Remove it from the folder of "
            "plugins. | ");
  EXPECT_EQ(failure(folder_ / "folder.so"),
            "invalid_argument K4T-PLG-003: plugin '$/folder.so' is not a regular file. Remove it from the folder of "
            "plugins. | ");
}

TEST_F(LoaderTest, FileThatOthersMayChange) {
  const fs::path file = copy("long_table");
  fs::permissions(file, fs::perms(0757));
  EXPECT_EQ(failure(file),
            "invalid_argument K4T-PLG-004: plugin '$/long_table.so' could have been changed by others: "
            "'$/long_table.so' is writable by group or others. chmod go-w $/long_table.so. | ");
}

TEST_F(LoaderTest, FolderThatOthersMayChange) {
  const fs::path file = copy("long_table");
  fs::permissions(folder_, fs::perms(0775));
  EXPECT_EQ(failure(file),
            "invalid_argument K4T-PLG-004: plugin '$/long_table.so' could have been changed by others: '$' is writable "
            "by group or others. chmod go-w $. | ");
}

TEST_F(LoaderTest, FileOfAnotherUser) {
  if (::geteuid() != 0) K4T_SKIP_OR_FAIL("only root can give a file away");
  const fs::path file = copy("long_table");
  ASSERT_EQ(::chown(file.c_str(), 12345, 0), 0);
  EXPECT_EQ(failure(file),
            "invalid_argument K4T-PLG-004: plugin '$/long_table.so' could have been put there by somebody else: "
            "'$/long_table.so' belongs to user 12345. chown it to root or to the user that runs k4t. | ");
}

TEST_F(LoaderTest, LinkIsJudgedByWhatItNames) {
  const fs::path target = copy("long_table");
  fs::create_directory(folder_ / "links");
  fs::create_symlink(target, folder_ / "links" / "alias.so");
  EXPECT_EQ(failure(folder_ / "links" / "alias.so"), "loaded");
  fs::permissions(target, fs::perms(0777));
  EXPECT_EQ(failure(folder_ / "links" / "alias.so").substr(0, 29), "invalid_argument K4T-PLG-004:");
}

TEST_F(LoaderTest, NotASharedLibrary) {
  const std::string expected =
      "invalid_argument K4T-PLG-005: plugin '$/odd.so' is not a shared library. Install the plugin again; a copy or "
      "download may have been cut short. | ";
  for (const std::string text : {"", "EL", "#!/bin/sh\nexit 0\n"}) {
    fs::remove(folder_ / "odd.so");
    std::ofstream(folder_ / "odd.so") << text;
    EXPECT_EQ(failure(folder_ / "odd.so"), expected);
  }
}

TEST_F(LoaderTest, LibraryThatWasCutShort) {
  const fs::path file = copy("long_table");
  fs::resize_file(file, 100);
  EXPECT_EQ(failure(file),
            "invalid_argument K4T-PLG-006: plugin '$/long_table.so' cannot be linked. Install the libraries that it "
            "needs ('ldd $/long_table.so' names them). | $/long_table.so: cannot read file data");
}

TEST_F(LoaderTest, MissingDependency) {
  EXPECT_EQ(
      failure(copy("missing_dependency")),
      "invalid_argument K4T-PLG-006: plugin '$/missing_dependency.so' cannot be linked. Install the libraries that "
      "it needs ('ldd $/missing_dependency.so' names them). | libgone_dependency.so: cannot open shared object "
      "file: No such file or directory");
}

TEST_F(LoaderTest, LibraryThatIsNoPlugin) {
  EXPECT_EQ(
      failure(copy("no_symbol")),
      "invalid_argument K4T-PLG-007: plugin '$/no_symbol.so' is not a k4t plugin: it has no symbol k4t_driver_v1. "
      "Remove it from the folder of plugins; authors: see K4T_EXPORT_DRIVER. | ");
}

TEST_F(LoaderTest, OtherMajorVersion) {
  EXPECT_EQ(failure(copy("other_major")),
            "invalid_argument K4T-PLG-008: plugin '$/other_major.so' is for major version 2 of the driver interface; "
            "this k4t has 1. Upgrade k4t, or install an older plugin. | ");
}

TEST_F(LoaderTest, NeedsNewerMinorVersion) {
  EXPECT_EQ(failure(copy("newer_minor")),
            "invalid_argument K4T-PLG-009: plugin '$/newer_minor.so' needs driver interface 1.7; this k4t has 1.0. "
            "Upgrade k4t, or install an older plugin. | ");
}

TEST_F(LoaderTest, TableThatIsTooShort) {
  EXPECT_EQ(failure(copy("short_table")),
            "invalid_argument K4T-PLG-010: plugin '$/short_table.so' has a driver table of 32 bytes, the least is 48. "
            "Rebuild the plugin with its size field set to sizeof(k4t_driver). | ");
}

TEST_F(LoaderTest, NullFunction) {
  EXPECT_EQ(failure(copy("null_function")),
            "invalid_argument K4T-PLG-011: plugin '$/null_function.so' has no function 'call' in its driver table. "
            "Rebuild the plugin with all four functions. | ");
}

TEST_F(LoaderTest, DescribeThrowsAnyType) {
  const std::string failed = "' failed to describe itself. Report it to the plugin's author. | exception";
  EXPECT_EQ(failure(copy("throws_exception")),
            "fatal K4T-PLG-012: plugin '$/throws_exception.so" + failed + ": no licence");
  EXPECT_EQ(failure(copy("throws_int")), "fatal K4T-PLG-012: plugin '$/throws_int.so" + failed + " of an unknown type");
}

TEST_F(LoaderTest, DescribeHangs) {
  EXPECT_EQ(
      failure(copy("describe_hangs"), milliseconds(200)),
      "deadline K4T-PLG-013: plugin '$/describe_hangs.so' did not describe itself within 200 ms. Report it to the "
      "plugin's author; describe must connect to nothing. | ");
}

TEST_F(LoaderTest, ManifestThatIsNotJson) {
  EXPECT_EQ(failure(copy("manifest_not_json")),
            "fatal K4T-PLG-012: plugin '$/manifest_not_json.so' failed to describe itself. Report it to the plugin's "
            "author. | the driver's reply is not JSON");
}

TEST_F(LoaderTest, ManifestThatDoesNotFit) {
  const std::string text = failure(copy("manifest_unfit"));
  EXPECT_EQ(text.substr(0, text.find('|') + 1),
            "fatal K4T-PLG-014: plugin '$/manifest_unfit.so' has a manifest that does not fit its schema. Report it to "
            "the plugin's author. |");
  EXPECT_NE(text.find("| /name: "), std::string::npos) << text;
}

TEST_F(LoaderTest, ManifestThatIsEmpty) {
  const std::string text = failure(copy("describe_silent"));
  EXPECT_EQ(text.substr(0, 19), "fatal K4T-PLG-014: ");
  EXPECT_NE(text.find("'apis'"), std::string::npos) << text;
}

TEST_F(LoaderTest, OtherApiVersion) {
  EXPECT_EQ(failure(copy("other_api")),
            "invalid_argument K4T-PLG-015: plugin '$/other_api.so' speaks gateway.v7, gateway.v8; this k4t speaks "
            "gateway.v1. Install a version of the plugin that speaks gateway.v1. | ");
}

TEST_F(LoaderTest, NewerPluginWithALongerTableWorks) {
  const auto library = Library::load(copy("long_table"));
  ASSERT_TRUE(library) << library.error().message;
  auto handle = Handle::open(*library, {});
  ASSERT_TRUE(handle) << handle.error().message;
  EXPECT_EQ(invoke<gateway::method::Observe>(**handle, {})->content, Content::clean);
}

TEST_F(LoaderTest, OlderPluginWithAShorterTableWorks) {
  // A host that has appended to the table reads today's plugin: the functions are there, what was appended is absent.
  struct LaterDriver {
    k4t_driver known;
    void (*appended)();
  };
  const auto library = Library::load(copy("long_table"));
  ASSERT_TRUE(library) << library.error().message;
  const k4t_driver todays = (*library)->table();
  ASSERT_LE(sizeof(k4t_driver), todays.size);
  k4t_driver older = todays;
  older.size = sizeof older;
  const auto later = read_by_size<LaterDriver>(&older);
  EXPECT_EQ(later.known.call, todays.call);
  EXPECT_EQ(later.known.close, todays.close);
  EXPECT_EQ(later.appended, nullptr);
}

TEST_F(LoaderTest, CatalogListsWhatWorksAndWhatDoesNot) {
  (void)copy("long_table", "a-good");
  (void)copy("long_table", "b-twin");
  (void)copy("no_symbol", "c-none");
  fs::copy_file(fs::path(K4T_BINARY_DIR) / "examples" / "gateway-null.so", folder_ / "d-null.so");
  std::ofstream(folder_ / "README") << "not a plugin";
  const Catalog catalog = Catalog::scan({folder_.string(), (folder_ / "none").string()});
  std::vector<std::string> lines;
  for (const Row& row : catalog.rows()) {
    lines.push_back(row.kind + "/" + row.name + " " + fs::path(row.path).filename().string() + " " +
                    std::string(to_string(row.status)) + " " + row.error.substr(0, 11));
  }
  EXPECT_THAT(lines, ElementsAre("gateway/odd a-good.so ok ", "gateway/odd b-twin.so conflict K4T-PLG-016",
                                 "/ c-none.so invalid_argument K4T-PLG-007", "gateway/null d-null.so ok ",
                                 "/ none not_found K4T-PLG-001"));
  const Json json = catalog.rows()[3];
  EXPECT_EQ(json.at("apis"), Json({"gateway.v1"}));
  EXPECT_EQ(json.at("status"), "ok");
}

TEST_F(LoaderTest, UnknownDriverNamesThoseThatThereAre) {
  (void)copy("long_table");
  (void)copy("no_symbol");
  const auto found = Catalog::scan({folder_.string()}).open("envoy", "gateway", {});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.status(), Status::not_found);
  EXPECT_EQ(found.error().message,
            "K4T-PLG-020: there is no gateway driver 'envoy'; there are: odd. Correct `driver`, or put its plugin into "
            "one of the [plugins] folders.");
  EXPECT_NE(found.error().detail.find("K4T-PLG-007"), std::string::npos);
}

TEST_F(LoaderTest, OptionsMustFitTheManifest) {
  fs::copy_file(fs::path(K4T_BINARY_DIR) / "examples" / "gateway-null.so", folder_ / "null.so");
  const Catalog catalog = Catalog::scan({folder_.string()});
  OpenRequest request;
  request.name = "gw1";
  request.options = {{"file", "relative"}};
  const auto opened = catalog.open("null", "gateway", request);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "K4T-PLG-021: the options of gateway 'gw1' do not fit the driver null. Correct them in k4t.toml.");
  EXPECT_EQ(opened.error().detail.substr(0, 6), "/file:");
  request.options = {{"file", (scratch_.path() / "null.json").string()}};
  EXPECT_TRUE(catalog.open("null", "gateway", request));
}

TEST_F(LoaderTest, EveryIdIsDocumented) {
  const std::string text = k4t::testing::Scratch::read(fs::path(K4T_SOURCE_DIR) / "docs" / "messages.md");
  for (const auto message_id : id::all) EXPECT_NE(text.find(message_id), std::string::npos) << message_id;
}

}  // namespace
}  // namespace k4t::plugin
