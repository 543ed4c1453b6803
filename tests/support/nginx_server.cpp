#include "support/nginx_server.hpp"

#include <csignal>
#include <fstream>
#include <stdexcept>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* stream_module = "/usr/lib/nginx/modules/ngx_stream_module.so";

bool is_worker(pid_t pid) {
  return Scratch::read("/proc/" + std::to_string(pid) + "/cmdline").starts_with("nginx: worker process");
}

}  // namespace

bool NginxServer::available() { return !find_program("nginx").empty() && fs::exists(stream_module); }

NginxServer::NginxServer(const Scratch& scratch, const std::string& name) : root_(scratch.path() / name) {
  fs::create_directories(root_ / "temporary");
  write_config();
}

void NginxServer::write_config() const {
  const std::string root = root_.string();
  std::string text = "daemon off;\nload_module " + std::string(stream_module) + ";\nworker_processes 2;\npid " +
                     pid_file().string() + ";\nerror_log " + error_log().string() +
                     " notice;\nevents { worker_connections 1024; }\nhttp {\n  access_log off;\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    text += "  " + std::string(kind) + "_temp_path " + root + "/temporary;\n";
  }
  text += http_ + "\n  include " + folder().string() + "/live/http*.conf;\n}\nstream {\n  include " +
          folder().string() + "/live/stream*.conf;\n}\n";
  std::ofstream(config(), std::ios::binary) << text;
}

void NginxServer::set_http(const std::string& text) {
  http_ = text;
  write_config();
}

void NginxServer::start() {
  fs::remove(pid_file());
  server_ = std::make_unique<Server>(
      std::vector<std::string>{"nginx", "-e", error_log().string(), "-c", config().string()}, root_ / "output.log");
  const bool up = eventually([this] {
    for (const pid_t child : children_of(server_->pid())) {
      if (is_worker(child) && fs::exists(pid_file())) return true;
    }
    return false;
  });
  if (!up) throw std::runtime_error("nginx does not start: " + Scratch::read(error_log()));
}

void NginxServer::stop() {
  if (server_ != nullptr) server_->stop();
  server_.reset();
}

void NginxServer::kill_master() const { server_->signal(SIGKILL); }

void NginxServer::signal_all(int number) const {
  for (const pid_t child : children_of(server_->pid())) ::kill(child, number);
  server_->signal(number);
}

}  // namespace k4t::testing
