#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace k4t::testing {

/// A file of an image: where it is here, and its absolute path in the image.
struct ImageFile {
  std::filesystem::path source;
  std::string target;
};
/// Makes an image, on the engine behind that socket, of busybox (/bin/busybox and links in /bin for its commands) and
/// the files, without a registry. Throws std::runtime_error where that fails.
void import_image(const std::filesystem::path& socket, const std::string& name, const std::vector<ImageFile>& files);
/// Whether an engine answers behind that socket.
bool engine_answers(const std::filesystem::path& socket);

/// A private Docker Engine: own data, own socket, own bridge, own mount namespace, no iptables rules. Several can run
/// side by side and beside the machine's own. Published ports answer on this machine's addresses (127.0.0.0/8 as well)
/// through Docker's userland proxy; containers reach the bridge's address, and through it this machine, but nothing
/// beyond. All of it is gone when this object or this process is.
class DockerEngine {
 public:
  /// Why none can be started here (not root, a program is missing); empty: it can.
  static std::string missing();

  /// The one engine of this test program, started when first asked for.
  static DockerEngine& shared();

  /// `arguments`: further ones of dockerd. Throws std::runtime_error with the engine's log where it does not start.
  explicit DockerEngine(std::vector<std::string> arguments = {});
  ~DockerEngine();
  DockerEngine(const DockerEngine&) = delete;
  DockerEngine& operator=(const DockerEngine&) = delete;

  /// "unix:///…/docker.sock"
  [[nodiscard]] std::string host() const { return "unix://" + socket().string(); }
  [[nodiscard]] std::filesystem::path socket() const { return scratch_.path() / "docker.sock"; }
  /// What it has logged since it was started last.
  [[nodiscard]] std::string log() const { return Scratch::read(scratch_.path() / "log"); }

  /// See testing::import_image.
  void import_image(const std::string& name, const std::vector<ImageFile>& files = {}) const {
    testing::import_image(socket(), name, files);
  }

  /// As a crash of the whole machine would: the engine, its containers and their networks are gone at once.
  void kill();
  /// Starts it again after kill(), with the data it had.
  void start();
  /// Stops and continues the engine's main process.
  void freeze() const;
  void thaw() const;

 private:
  Scratch scratch_;
  const std::vector<std::string> arguments_;
  int group_;  ///< the interface group that marks our bridge
  std::unique_ptr<Server> server_;
};

}  // namespace k4t::testing
