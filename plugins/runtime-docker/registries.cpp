#include "registries.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "k4t/options.hpp"
#include "k4t/secret_file.hpp"

namespace k4t::docker {
namespace {

constexpr const char* hub = "docker.io";

bool names_a_registry(std::string_view part) {
  return part.find_first_of(".:") != std::string_view::npos || part == "localhost";
}

void wipe(std::string& secret) { ::explicit_bzero(secret.data(), secret.size()); }

}  // namespace

Json registries_schema() {
  Json server =
      option::text("The registry as images name it, e.g. \"registry.example.net:5000\"; \"docker.io\" for Docker Hub");
  server["pattern"] = "^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?$";
  Json login =
      option::table("",
                    {{"server", std::move(server)},
                     {"user", option::text("Who logs in")},
                     {"password_file",
                      option::file("A file with the password or token alone, closed to other users of this machine")}},
                    {"server", "user", "password_file"});
  return option::list("Logins at image registries; a pull carries the one of its own registry only", login);
}

Result<void> check_logins(const std::vector<Login>& logins) {
  for (auto login = logins.begin(); login != logins.end(); ++login) {
    const auto same = [&](const Login& other) { return other.server == login->server; };
    if (!names_a_registry(login->server)) {
      return Error{Status::invalid_argument,
                   "options.registries: \"" + login->server +
                       "\" is no registry in an image's name; write it with its domain or port, or \"docker.io\"",
                   {}};
    }
    if (std::any_of(logins.begin(), login, same)) {
      return Error{Status::invalid_argument, "options.registries: \"" + login->server + "\" is given twice", {}};
    }
  }
  return {};
}

std::string registry_of(std::string_view image) {
  const auto slash = image.find('/');
  if (slash == std::string_view::npos) return hub;
  const auto first = image.substr(0, slash);
  if (!names_a_registry(first) || first == "index.docker.io") return hub;
  return std::string(first);
}

const Login* login_for(std::string_view image, const std::vector<Login>& logins) {
  const auto registry = registry_of(image);
  const auto found =
      std::find_if(logins.begin(), logins.end(), [&](const Login& login) { return login.server == registry; });
  return found == logins.end() ? nullptr : &*found;
}

Result<std::string> registry_auth(const Login& login) {
  K4T_ASSIGN(std::string password, read_secret_file(login.password_file, "password file"));
  const auto end = password.find_last_not_of("\r\n");
  const std::string_view bare = std::string_view(password).substr(0, end == std::string::npos ? 0 : end + 1);
  if (bare.empty()) {
    return Error{Status::invalid_argument, "the password file " + login.password_file + " is empty", {}};
  }
  std::string text;
  try {
    text = Json{{"username", login.user}, {"password", bare}, {"serveraddress", login.server}}.dump();
  } catch (const Json::exception&) {  // whose words would quote it
    wipe(password);
    return Error{Status::invalid_argument, "the password file " + login.password_file + " is not UTF-8 text", {}};
  }
  auto header = base64url(text);
  wipe(password);
  wipe(text);
  return header;
}

std::string base64url(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto byte = [&](std::size_t n) {
      return at + n < bytes.size() ? std::uint32_t{static_cast<unsigned char>(bytes[at + n])} : 0U;
    };
    const std::uint32_t group = byte(0) << 16U | byte(1) << 8U | byte(2);
    text += alphabet[group >> 18U];
    text += alphabet[group >> 12U & 63U];
    text += at + 1 < bytes.size() ? alphabet[group >> 6U & 63U] : '=';
    text += at + 2 < bytes.size() ? alphabet[group & 63U] : '=';
  }
  return text;
}

}  // namespace k4t::docker
