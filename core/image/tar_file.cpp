#include "image/tar_file.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

namespace k4t::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t read_bytes = 256u << 10;
constexpr std::size_t most_members = 100'000;
constexpr int most_links = 8;

struct CloseReader {
  void operator()(::archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<::archive, CloseReader>;

enum class Format { tar, raw };

/// Only what libarchive reads by itself: for other compressions it would start programs.
Reader make_reader(Format format) {
  Reader reader(archive_read_new());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  format == Format::tar ? archive_read_support_format_tar(reader.get()) : archive_read_support_format_raw(reader.get());
  return reader;
}

Error damaged(const std::string& path, ::archive* reader) {
  const char* why = archive_error_string(reader);
  return Error{Status::invalid_argument,
               path + " is no sound tar archive: " + (why == nullptr ? "it is damaged" : std::string(why)),
               {}};
}

Result<Reader> open_reader(const std::string& path, Format format) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Error{Status::not_found, "there is no file " + path, {}};
  if (status.type() == fs::file_type::directory) {
    return Error{Status::invalid_argument, path + " is a folder; a tar archive of it is needed", {}};
  }
  Reader reader = make_reader(format);
  if (archive_read_open_filename(reader.get(), path.c_str(), read_bytes) == ARCHIVE_OK) return reader;
  if (archive_errno(reader.get()) == EACCES) return Error{Status::unavailable, path + " may not be read", {}};
  return damaged(path, reader.get());
}

std::string normal_name(const fs::path& name) { return name.lexically_normal().string(); }

Result<Spool> uncompress(const std::string& path) {
  K4T_ASSIGN(auto reader, open_reader(path, Format::raw));
  K4T_ASSIGN(auto spool, Spool::create());
  archive_entry* entry = nullptr;
  if (archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) return damaged(path, reader.get());
  std::string bytes(read_bytes, '\0');
  for (;;) {
    const auto got = archive_read_data(reader.get(), bytes.data(), bytes.size());
    if (got < 0) return damaged(path, reader.get());
    if (got == 0) return spool;
    K4T_TRY(spool.append({bytes.data(), static_cast<std::size_t>(got)}));
  }
}

}  // namespace

Result<TarFile> TarFile::open(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  TarFile file(error ? path : whole.string(), std::nullopt);
  K4T_ASSIGN(const bool compressed, file.index());
  if (!compressed) return file;
  K4T_ASSIGN(auto spool, uncompress(file.path_));
  return open(std::move(spool));
}

Result<TarFile> TarFile::open(Spool spool) {
  std::string path = spool.path();
  TarFile file(std::move(path), std::move(spool));
  K4T_ASSIGN(const bool compressed, file.index());
  if (compressed) return Error{Status::invalid_argument, "the archive is compressed more than once", {}};
  return file;
}

/// True: it is compressed, and nothing has been read yet.
Result<bool> TarFile::index() {
  K4T_ASSIGN(const auto reader, open_reader(path(), Format::tar));
  ::archive* const in = reader.get();
  archive_entry* entry = nullptr;
  for (;;) {
    const int outcome = archive_read_next_header(in, &entry);
    if (outcome == ARCHIVE_EOF) return false;
    if (outcome != ARCHIVE_OK) return damaged(path(), in);
    if (archive_filter_code(in, 0) != ARCHIVE_FILTER_NONE) return true;
    if (files_.size() + links_.size() >= most_members) {
      return Error{Status::invalid_argument, path() + " has too many members for an archive of images", {}};
    }
    const fs::path name = archive_entry_pathname(entry) == nullptr ? "" : archive_entry_pathname(entry);
    if (const char* target = archive_entry_hardlink(entry)) {
      links_[normal_name(name)] = normal_name(target);
    } else if (const char* beside = archive_entry_symlink(entry)) {
      links_[normal_name(name)] = normal_name(name.parent_path() / beside);
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      if (archive_entry_sparse_count(entry) > 0) {
        return Error{Status::invalid_argument, path() + " has a member with holes: " + name.string(), {}};
      }
      // The header has been taken, so that what was read so far ends where the content begins.
      files_[normal_name(name)] = {static_cast<std::uint64_t>(archive_filter_bytes(in, 0)),
                                   static_cast<std::uint64_t>(archive_entry_size(entry))};
    }
  }
}

std::optional<runtime::Extent> TarFile::find(const std::string& name) const {
  std::string at = normal_name(name);
  for (int hops = 0; hops <= most_links; ++hops) {
    if (const auto file = files_.find(at); file != files_.end()) return file->second;
    const auto link = links_.find(at);
    if (link == links_.end()) return std::nullopt;
    at = link->second;
  }
  return std::nullopt;
}

Result<std::string> TarFile::read(const runtime::Extent& extent, std::uint64_t limit_bytes) const {
  if (extent.bytes > limit_bytes) {
    return Error{Status::invalid_argument, "a member of " + path() + " is much too long for what it should be", {}};
  }
  std::ifstream in(path(), std::ios::binary);
  std::string bytes(extent.bytes, '\0');
  if (!in.seekg(static_cast<std::streamoff>(extent.offset_bytes)) ||
      !in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return Error{Status::unavailable, "cannot read " + path(), {}};
  }
  return bytes;
}

}  // namespace k4t::image
