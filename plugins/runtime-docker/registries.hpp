#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "k4t/json.hpp"
#include "k4t/result.hpp"

/// Logins at image registries. The engine keeps none: it is given one with each pull that needs it, and no pull from
/// another registry ever carries it.

namespace k4t::docker {

/// One entry of `options.registries`.
struct Login {
  std::string server;  ///< as images name it: "registry.example.net:5000"; "docker.io" for Docker Hub
  std::string user;
  std::string password_file;
  friend bool operator==(const Login&, const Login&) = default;
};
K4T_JSON(Login, server, user, password_file)

/// The JSON Schema of `options.registries`.
Json registries_schema();

/// INVALID_ARGUMENT: a server that no image can name, or one that is given twice.
Result<void> check_logins(const std::vector<Login>& logins);

/// The registry that the engine pulls an image from, by Docker's rule: the reference's first part if it has a dot, a
/// colon or is "localhost", else "docker.io".
std::string registry_of(std::string_view image);

/// The login for the image's registry; nullptr: there is none.
const Login* login_for(std::string_view image, const std::vector<Login>& logins);

/// The value of the header X-Registry-Auth, with the password that is in the file now: a secret. INVALID_ARGUMENT: the
/// file cannot be used, see read_secret_file.
Result<std::string> registry_auth(const Login& login);

/// RFC 4648 §5, with padding, as the engine wants it.
std::string base64url(std::string_view bytes);

}  // namespace k4t::docker
