#include "plugin/catalog.hpp"

#include "platform/json_schema.hpp"
#include "plugin/contract.hpp"
#include "plugin/file_check.hpp"
#include "plugin/messages.hpp"

namespace k4t::plugin {
namespace {

Row row_of(const Library& library) {
  const Manifest& manifest = library.manifest();
  return {.name = manifest.name,
          .kind = manifest.kind,
          .version = manifest.version,
          .summary = manifest.summary,
          .apis = manifest.apis,
          .capabilities = manifest.capabilities,
          .path = library.path().string(),
          .status = Status::ok,
          .error = {},
          .detail = {}};
}

void mark(Row& row, const Error& error) {
  row.status = error.status;
  row.error = error.message;
  row.detail = error.detail;
}

}  // namespace

void to_json(Json& json, const Row& row) {
  json = {{"name", row.name},       {"kind", row.kind},
          {"version", row.version}, {"summary", row.summary},
          {"apis", row.apis},       {"capabilities", row.capabilities},
          {"path", row.path},       {"status", std::string(to_string(row.status))},
          {"error", row.error},     {"detail", row.detail}};
}

Catalog Catalog::scan(const std::vector<std::string>& folders) {
  Catalog catalog;
  for (const std::string& folder : folders) catalog.add_folder(folder);
  return catalog;
}

void Catalog::add_folder(const std::string& folder) {
  const auto files = list_folder(folder);
  if (!files) {
    Row row;
    row.path = folder;
    mark(row, files.error());
    rows_.push_back(std::move(row));
    return;
  }
  for (const auto& file : *files) add_file(file);
}

void Catalog::add_file(const std::filesystem::path& file) {
  auto library = Library::load(file);
  if (!library) {
    Row row;
    row.path = file.string();
    mark(row, library.error());
    rows_.push_back(std::move(row));
    return;
  }
  Row row = row_of(**library);
  const auto [first, added] = libraries_.try_emplace({row.kind, row.name}, *library);
  if (!added) {
    mark(row, file_error(Status::conflict, id::name_used_twice, file,
                         "is a second " + row.kind + " driver named '" + row.name + "'; '" +
                             first->second->path().string() + "' is used",
                         "Remove one of the two"));
  }
  rows_.push_back(std::move(row));
}

std::vector<std::shared_ptr<const Library>> Catalog::libraries() const {
  std::vector<std::shared_ptr<const Library>> usable;
  for (const auto& [key, library] : libraries_) usable.push_back(library);
  return usable;
}

bool Catalog::has_capability(const std::string& kind, const std::string& driver, std::string_view capability) const {
  const auto library = find(kind, driver);
  if (!library) return false;
  const auto& all = (*library)->manifest().capabilities;
  return std::find(all.begin(), all.end(), capability) != all.end();
}

Result<std::shared_ptr<const Library>> Catalog::find(const std::string& kind, const std::string& driver) const {
  if (const auto found = libraries_.find({kind, driver}); found != libraries_.end()) return found->second;
  std::string known;
  std::string broken;
  for (const Row& row : rows_) {
    if (!row.error.empty()) {
      broken += row.error + "\n";
    } else if (row.kind == kind) {
      known += (known.empty() ? "" : ", ") + row.name;
    }
  }
  return Error{Status::not_found,
               std::string(id::no_such_driver) + ": there is no " + kind + " driver '" + driver + "'; there " +
                   (known.empty() ? "are none" : "are: " + known) +
                   ". Correct `driver`, or put its plugin into one of the [plugins] folders.",
               broken};
}

Result<std::unique_ptr<Handle>> Catalog::open(const std::string& driver, const std::string& kind,
                                              const OpenRequest& request, const CallOptions& options) const {
  K4T_ASSIGN(auto library, find(kind, driver));
  const auto issues = platform::validate_json(library->manifest().options_schema, request.options);
  if (!issues.empty()) {
    return Error{Status::invalid_argument,
                 std::string(id::bad_options) + ": the options of " + kind + " '" + request.name +
                     "' do not fit the driver " + driver + ". Correct them in k4t.toml.",
                 text_of(issues)};
  }
  return Handle::open(std::move(library), request, options);
}

}  // namespace k4t::plugin
