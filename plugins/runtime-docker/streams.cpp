#include "streams.hpp"

#include <algorithm>

#include "k4t/json.hpp"

namespace k4t::docker {
namespace {

constexpr std::size_t header_bytes = 8;
constexpr std::size_t longest_line_bytes = 1u << 20;

Progress progress_of(const std::string& step, const Json& message) {
  Progress progress{step, message.value("status", ""), 0, 0, ""};
  if (const auto id = message.value("id", ""); !id.empty()) progress.text = id + ": " + progress.text;
  const auto detail = message.find("progressDetail");
  if (detail == message.end() || !detail->is_object() || !detail->contains("total")) return progress;
  progress.done = detail->value("current", std::uint64_t{0});
  progress.total = detail->value("total", std::uint64_t{0});
  progress.unit = "bytes";
  return progress;
}

std::string login_error(const std::string& image, const Login* login) {
  if (login == nullptr) {
    return "the registry " + registry_of(image) + " of image " + image + " wants a login: add it to options.registries";
  }
  return "the registry " + login->server + " of image " + image + " refuses the user " + login->user +
         ": check options.registries and the password in " + login->password_file;
}

bool contains_any(const std::string& text, std::initializer_list<const char*> phrases) {
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](const char* phrase) { return text.find(phrase) != std::string::npos; });
}

}  // namespace

bool FrameSplitter::feed(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    if (left_bytes_ == 0) {
      const auto part = std::min(header_bytes - header_.size(), bytes.size());
      header_ += bytes.substr(0, part);
      bytes.remove_prefix(part);
      if (header_.size() == header_bytes && !read_header()) return false;
      continue;
    }
    const auto part = std::min<std::size_t>(left_bytes_, bytes.size());
    left_bytes_ -= static_cast<std::uint32_t>(part);
    if (!sink(channel_, bytes.substr(0, part))) return false;
    bytes.remove_prefix(part);
  }
  return true;
}

bool FrameSplitter::read_header() {
  const auto byte = [&](std::size_t at) { return std::uint32_t{static_cast<unsigned char>(header_[at])}; };
  malformed_ = byte(0) > 2 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0;
  channel_ = byte(0) == 2 ? Channel::err : Channel::out;
  left_bytes_ = byte(4) << 24U | byte(5) << 16U | byte(6) << 8U | byte(7);
  header_.clear();
  return !malformed_;
}

void ProgressReader::feed(std::string_view bytes, const std::function<void(const Progress&)>& report) {
  for (const char c : bytes) {
    if (c != '\n') {
      if (line_.size() < longest_line_bytes) line_ += c;
      continue;
    }
    take_line(line_, report);
    line_.clear();
  }
}

void ProgressReader::take_line(const std::string& line, const std::function<void(const Progress&)>& report) {
  const Json message = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object()) return;
  try {
    if (const auto error = message.value("error", ""); !error.empty()) {
      failure_ = error;
      return;
    }
    report(progress_of(step_, message));
  } catch (const Json::exception&) {
    // Progress of another shape is progress that nobody sees.
  }
}

Error pull_error(const std::string& image, int http_status, const std::string& refusal, const Login* login) {
  if (http_status == 400)
    return Error{Status::invalid_argument, "\"" + image + "\" is not an image reference", refusal};
  if (contains_any(refusal, {"unauthorized", "authentication required", "no basic auth credentials"})) {
    return Error{Status::invalid_argument, login_error(image, login), refusal};
  }
  if (http_status == 404 || contains_any(refusal, {"manifest unknown", "does not exist", "not found: "})) {
    return Error{
        Status::not_found,
        "image " + image + " is neither on this node nor in its registry; check its name, push it or import it",
        refusal};
  }
  return Error{Status::unavailable,
               "image " + image + " is not on this node, and its registry could not be asked: " + refusal, refusal};
}

}  // namespace k4t::docker
