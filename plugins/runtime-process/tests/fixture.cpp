#include "fixture.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>
#include <sstream>

namespace k4t::process {

using k4t::testing::eventually;
using k4t::testing::Scratch;

namespace {

/// Supervisors leave their callers. This program takes them in, so that at its end none is left: each ends soon after
/// its folder has gone.
class Adoption final : public ::testing::Environment {
 public:
  void SetUp() override { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  void TearDown() override {
    EXPECT_TRUE(eventually([] {
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD;
    })) << "a supervisor is still there";
  }
};

const ::testing::Environment* const adoption = ::testing::AddGlobalTestEnvironment(new Adoption);

}  // namespace

bool is_alive(int pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat && stat->substr(stat->rfind(')') + 2, 1) != "Z";
}

std::unique_ptr<ProcessDriver> ProcessTest::open_driver() const {
  Options options;
  options.folder = root_;
  options.supervisor = std::string(K4T_BINARY_DIR) + "/bin/k4t-supervise";
  options.images = {{"k4t-demo", std::string(K4T_BINARY_DIR) + "/bin/k4t-demo-app"}};
  options.log_file_bytes = 1 << 20;
  return std::make_unique<ProcessDriver>(options, "127.0.0.1");
}

runtime::InstanceSpec ProcessTest::script(const std::string& text, const std::vector<std::string>& args) const {
  runtime::InstanceSpec spec;
  spec.name = kName;
  spec.labels = {{runtime::label::cluster, "shop"}, {runtime::label::service, "web"}};
  spec.network = runtime::Network::host;
  spec.command = {"/bin/sh", "-c", text, "sh", file_};
  spec.command.insert(spec.command.end(), args.begin(), args.end());
  spec.stop_timeout_s = 5;
  return spec;
}

void ProcessTest::begin(const runtime::InstanceSpec& spec) {
  const auto made = ask<method::Create>(spec);
  ASSERT_TRUE(made) << made.error().message;
  const auto started = ask<method::Start>({spec.name});
  ASSERT_TRUE(started) << started.error().message;
}

runtime::Instance ProcessTest::seen(const std::string& name) {
  const auto instance = ask<method::Inspect>({name});
  EXPECT_TRUE(instance) << instance.error().message;
  return instance ? *instance : runtime::Instance{};
}

StatusFile ProcessTest::status(const std::string& name) const {
  const auto text = read_file(folder(name).status_file());
  const auto parsed = parse_status(text ? *text : std::string());
  EXPECT_TRUE(parsed) << "no status";
  return parsed ? *parsed : StatusFile{};
}

std::vector<std::string> ProcessTest::lines() const {
  std::ifstream in(file_);
  std::vector<std::string> found;
  for (std::string line; std::getline(in, line);) found.push_back(line);
  return found;
}

std::vector<int> ProcessTest::pids(std::size_t count) const {
  EXPECT_TRUE(eventually([&] { return lines().size() >= count; }));
  std::vector<int> found;
  for (const auto& line : lines()) found.push_back(std::stoi(line));
  found.resize(count);
  return found;
}

int ProcessTest::keeper_of(int supervisor) {
  const std::string pid = std::to_string(supervisor);
  std::istringstream children(Scratch::read("/proc/" + pid + "/task/" + pid + "/children"));
  int keeper = 0;
  children >> keeper;
  return keeper;
}

}  // namespace k4t::process
