#include "options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/certificates.hpp"

namespace k4t::docker {
namespace {

using k4t::testing::Authority;
using ::testing::HasSubstr;

OpenRequest request_with(Json options) {
  return {"shop", "shop.example.net", "node1", "192.0.2.1", std::move(options)};
}

/// The message that these options are refused with.
std::string refusal(Json options) {
  const auto parsed = parse_options(request_with(std::move(options)));
  EXPECT_EQ(parsed.status(), Status::invalid_argument);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Options, DefaultToTheLocalEngine) {
  const auto parsed = parse_options(request_with(Json::object()));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->engine.unix_path, "/var/run/docker.sock");
  EXPECT_EQ(parsed->engine.host->name(), "local");
  EXPECT_FALSE(parsed->exposed);
}

TEST(Options, NameTheFilesThatAMasterNeedsWhichComesBackFromACopy) {
  const Json schema = options_schema();
  for (const char* file :
       {"/properties/tls/properties/ca", "/properties/tls/properties/cert", "/properties/tls/properties/key",
        "/properties/ssh/properties/identity/items", "/properties/ssh/properties/passphrase_file",
        "/properties/ssh/properties/known_hosts", "/properties/registries/items/properties/password_file"}) {
    EXPECT_EQ(schema.at(Json::json_pointer(file)).at("k4t-file"), true) << file;
  }
}

TEST(Options, RefuseWhatIsNoEngine) {
  for (const char* bad :
       {"https://192.0.2.1", "tcp://node1:2375", "tcp://192.0.2.1", "tcp://192.0.2.1:", "tcp://192.0.2.1:0",
        "tcp://192.0.2.1:99999", "unix://relative", "", "ssh://", "ssh://-x", "ssh://node1/run/docker.sock"}) {
    EXPECT_THAT(refusal({{"host", bad}}), HasSubstr("options.host")) << bad;
  }
  OpenRequest named = request_with(Json::object());
  named.address = "node1.example.net";
  EXPECT_EQ(parse_options(named).status(), Status::invalid_argument);
}

TEST(Options, OverSshTheSocketIsTheNodes) {
  const auto parsed = parse_options(request_with({{"host", "ssh://deploy@node1.example.net:2222"}}));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->engine.host->name(), "ssh://deploy@node1.example.net:2222");
  EXPECT_EQ(parsed->engine.unix_path, "/var/run/docker.sock");
  EXPECT_FALSE(parsed->exposed);
  const Json other{{"host", "ssh://node1"}, {"socket", "/run/user/1000/docker.sock"}};
  EXPECT_EQ(parse_options(request_with(other))->engine.unix_path, "/run/user/1000/docker.sock");
  EXPECT_THAT(refusal({{"host", "ssh://node1"}, {"socket", "run/docker.sock"}}), HasSubstr("absolute path"));
  EXPECT_THAT(refusal({{"host", "ssh://node1"}, {"ssh", {{"identity", {"relative"}}}}}), HasSubstr("identity"));
}

TEST(Options, PlainTcpIsExposedUnlessItStaysOnThisMachine) {
  const auto exposed = [](const char* host) { return parse_options(request_with({{"host", host}}))->exposed; };
  EXPECT_TRUE(exposed("tcp://192.0.2.11:2375"));
  EXPECT_TRUE(exposed("tcp://[2001:db8::1]:2375"));
  EXPECT_FALSE(exposed("tcp://127.0.0.1:2375"));
  EXPECT_FALSE(exposed("tcp://127.9.9.9:2375"));
  EXPECT_FALSE(exposed("tcp://[::1]:2375"));
  EXPECT_FALSE(exposed("tcp://[::ffff:127.0.0.1]:2375"));
  EXPECT_TRUE(exposed("tcp://[::ffff:192.0.2.1]:2375"));
}

TEST(Options, TlsFilesAreLookedAtWhenOpened) {
  const Authority authority;
  const auto own = authority.issue({.name = "client", .purpose = "clientAuth"});
  Json tls{{"ca", authority.certificate()}, {"cert", own.certificate}, {"key", own.key}};
  const auto parsed = parse_options(request_with({{"host", "tcp://[2001:db8::1]:2376"}, {"tls", tls}}));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->engine.address, "2001:db8::1");
  EXPECT_EQ(parsed->engine.port, 2376);
  EXPECT_EQ(parsed->engine.tls->key_file, own.key);
  EXPECT_FALSE(parsed->exposed);
  tls["key"] = "/nowhere/key.pem";
  EXPECT_THAT(refusal({{"host", "tcp://192.0.2.1:2376"}, {"tls", tls}}),
              HasSubstr("options.tls: the private key /nowhere/key.pem"));
}

TEST(Options, WhatIsForAnotherKindOfHostIsRefusedInsteadOfIgnored) {
  const Json tls{{"ca", "/c"}, {"cert", "/c"}, {"key", "/k"}};
  EXPECT_THAT(refusal({{"host", "ssh://node1"}, {"tls", tls}}), HasSubstr("options.tls is for tcp://"));
  EXPECT_THAT(refusal({{"tls", tls}}), HasSubstr("options.tls is for tcp://"));
  EXPECT_THAT(refusal({{"socket", "/run/docker.sock"}}), HasSubstr("options.socket is for ssh://"));
  EXPECT_THAT(refusal({{"host", "tcp://192.0.2.1:2375"}, {"ssh", Json::object()}}), HasSubstr("options.ssh is for"));
}

TEST(Options, ALoginIsForARegistryThatImagesCanNameAndGivenOnce) {
  const auto login = [](const char* server) {
    return Json{{"server", server}, {"user", "deploy"}, {"password_file", "/etc/k4t/registry"}};
  };
  const auto with = [&](const char* one, const char* other) {
    return Json{{"registries", Json::array({login(one), login(other)})}};
  };
  const auto parsed = parse_options(request_with(with("registry.example.net:5000", "docker.io")));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->registries.at(1), (Login{"docker.io", "deploy", "/etc/k4t/registry"}));
  EXPECT_THAT(refusal(with("docker.io", "docker.io")), HasSubstr("given twice"));
  EXPECT_THAT(refusal(with("docker.io", "registry")), HasSubstr("no registry in an image's name"));
}

TEST(Registries, TheRegistryOfAnImageIsFoundAsDockerFindsIt) {
  EXPECT_EQ(registry_of("web"), "docker.io");
  EXPECT_EQ(registry_of("web:1.4"), "docker.io");
  EXPECT_EQ(registry_of("team/web:1.4"), "docker.io");
  EXPECT_EQ(registry_of("docker.io/team/web"), "docker.io");
  EXPECT_EQ(registry_of("index.docker.io/team/web"), "docker.io");
  EXPECT_EQ(registry_of("localhost/web"), "localhost");
  EXPECT_EQ(registry_of("registry.example.net/team/web:1"), "registry.example.net");
  EXPECT_EQ(registry_of("registry:5000/web@sha256:00"), "registry:5000");
}

TEST(Registries, ALoginIsForItsOwnRegistryOnly) {
  const std::vector<Login> logins{{"registry.example.net", "deploy", "/p"}, {"docker.io", "shop", "/q"}};
  EXPECT_EQ(login_for("registry.example.net/web:1", logins), &logins[0]);
  EXPECT_EQ(login_for("web", logins), &logins[1]);
  EXPECT_EQ(login_for("registry.example.net:5000/web", logins), nullptr);
  EXPECT_EQ(login_for("registry.example.net.evil.example/web", logins), nullptr);
  EXPECT_EQ(login_for("evil.example/registry.example.net/web", logins), nullptr);
}

TEST(Registries, TheHeaderHoldsThePasswordOfTheFileInTheEnginesForm) {
  const k4t::testing::Scratch scratch;
  const auto file = scratch.write("password", "s\"\\?>~ü\n", 0600).string();
  const auto header = registry_auth({"registry.example.net", "deploy", file});
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(*header,
            base64url(R"({"password":"s\"\\?>~ü","serveraddress":"registry.example.net","username":"deploy"})"));
  EXPECT_EQ(header->find_first_of("+/"), std::string::npos);
}

TEST(Registries, APasswordFileThatCannotBeUsedIsNamed) {
  const k4t::testing::Scratch scratch;
  const auto said = [](const std::string& file) {
    const auto header = registry_auth({"registry.example.net", "deploy", file});
    EXPECT_EQ(header.status(), Status::invalid_argument);
    return header ? "accepted" : header.error().message;
  };
  EXPECT_THAT(said("/nowhere/password"), HasSubstr("/nowhere/password cannot be opened"));
  EXPECT_THAT(said(scratch.write("empty", "\n", 0600)), HasSubstr("is empty"));
  EXPECT_THAT(said(scratch.write("open", "secret", 0644)), HasSubstr("chmod o-rwx"));
  const auto bytes = said(scratch.write("bytes", "secret\xff", 0600));
  EXPECT_THAT(bytes, HasSubstr("not UTF-8"));
  EXPECT_THAT(bytes, ::testing::Not(HasSubstr("secret")));
}

TEST(Registries, Base64UrlIsThatOfTheRfc) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("f"), "Zg==");
  EXPECT_EQ(base64url("fo"), "Zm8=");
  EXPECT_EQ(base64url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64url("\xfb\xff\xfe"), "-__-");
}

}  // namespace
}  // namespace k4t::docker
