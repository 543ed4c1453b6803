#include "support/name_server.hpp"

#include <stdexcept>

#include "support/bind_name_server.hpp"
#include "support/samba_server.hpp"

namespace k4t::testing {
namespace {

/// A domain of its own, whose zone holds the wanted one.
class SambaNameServer final : public NameServer {
 public:
  [[nodiscard]] std::string settings() const override {
    return "driver = \"windows\"\naddress = \"127.0.0.1\"\noptions.host = \"" + server_.host() +
           "\"\noptions.principal = \"" + server_.user().name + "\"\noptions.keytab = \"" + server_.user().keytab +
           "\"\noptions.realm = \"" + server_.realm() + "\"\noptions.kdc_port = " + std::to_string(server_.kdc_port()) +
           "\noptions.port = " + std::to_string(server_.port()) + "\noptions.zone = \"" + server_.zone() + "\"\n";
  }
  void start() override { server_.start(); }
  void stop() override { server_.stop(); }
  [[nodiscard]] std::string dig(const std::string& name, const std::string& type) const override {
    return server_.dig(name, type);
  }

 private:
  SambaServer server_;
};

}  // namespace

std::string BindNameServer::settings() const {
  return "driver = \"bind\"\naddress = \"127.0.0.1\"\noptions.port = " + std::to_string(server_.port()) +
         "\noptions.key_file = \"" + server_.key_file() + "\"\n";
}

std::string name_server_missing(const std::string& kind) {
  if (kind == "bind") return BindServer::installed() ? std::string() : "BIND is not installed";
  if (kind == "samba") return SambaServer::installed() ? std::string() : "Samba's domain controller is not installed";
  return "there is no DNS server of the kind " + kind + " for tests";
}

std::unique_ptr<NameServer> make_name_server(const std::string& kind, const std::string& zone) {
  if (const auto why = name_server_missing(kind); !why.empty()) throw std::runtime_error(why);
  if (kind == "samba") return std::make_unique<SambaNameServer>();
  return std::make_unique<BindNameServer>(zone);
}

}  // namespace k4t::testing
