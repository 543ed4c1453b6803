#include "errors.hpp"
#include "files.hpp"
#include "k4t/transport.hpp"
#include "process.hpp"
#include "program.hpp"
#include "stream.hpp"

namespace k4t::transport {
namespace {

class LocalHost final : public Host {
 public:
  [[nodiscard]] std::string name() const override { return "local"; }
  Result<Output> run(const Command& command) override { return run_process(command); }
  Result<std::unique_ptr<Stream>> start(const Command& command) override { return start_program(command); }
  Result<std::string> read_file(const std::string& path, const Limits& /*limits*/) override {
    return files::read(path);
  }
  Result<void> put_file(const std::string& path, std::string_view bytes, unsigned mode,
                        const Limits& /*limits*/) override {
    return files::put(path, bytes, mode);
  }
  Result<void> swap_file(const std::string& path, const std::optional<std::string>& expected, std::string_view bytes,
                         unsigned mode, const Limits& limits, const std::string& keep_as) override {
    return files::swap(path, expected, bytes, mode, limits, keep_as);
  }
  Result<void> make_folder(const std::string& path, unsigned mode, const Limits& /*limits*/) override {
    return files::make_folder(path, mode);
  }
  Result<std::vector<std::string>> list_folder(const std::string& path, const Limits& /*limits*/) override {
    return files::list(path);
  }
  Result<void> remove_file(const std::string& path, const Limits& /*limits*/) override { return files::remove(path); }
  Result<void> sweep_folder(const std::string& path, const Limits& /*limits*/) override { return files::sweep(path); }
  Result<std::unique_ptr<Stream>> connect_unix(const std::string& path, std::chrono::milliseconds timeout) override {
    return connect_to_unix(path, timeout);
  }
  Result<std::unique_ptr<Stream>> connect_tcp(const std::string& address, std::uint16_t port,
                                              std::chrono::milliseconds timeout) override {
    return connect_to_tcp(address, port, timeout);
  }
};

}  // namespace

std::shared_ptr<Host> local_host() { return std::make_shared<LocalHost>(); }

Result<Output> run_script(Host& host, std::string_view script, const std::vector<std::string>& args,
                          std::string_view input, std::chrono::milliseconds timeout) {
  Command command;
  command.argv = {"/bin/sh", "-c", std::string(script), "sh"};
  command.argv.insert(command.argv.end(), args.begin(), args.end());
  command.input = input;
  command.timeout = timeout;
  return host.run(command);
}

}  // namespace k4t::transport
