#pragma once

#include "support/bind_server.hpp"
#include "support/name_server.hpp"

namespace k4t::testing {

class BindNameServer final : public NameServer {
 public:
  explicit BindNameServer(const std::string& zone) : server_({zone, {}, true}) {}

  [[nodiscard]] std::string settings() const override;
  void start() override { server_.start(); }
  void stop() override { server_.stop(); }
  [[nodiscard]] std::string dig(const std::string& name, const std::string& type) const override {
    return server_.dig(name, type);
  }

  BindServer& server() { return server_; }

 private:
  BindServer server_;
};

}  // namespace k4t::testing
