#include "store/checked_pages.hpp"

#include <sqlite3.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "k4t/digest.hpp"

namespace k4t::store {
namespace {

// SQLite's file format, 1.3: the header on the first page.
constexpr std::string_view magic("SQLite format 3\0", 16);
constexpr std::size_t header_bytes = 100;
constexpr std::size_t page_size_at = 16;
constexpr std::size_t reserved_at = 20;

bool has_digests(const unsigned char* header) {
  return std::memcmp(header, magic.data(), magic.size()) == 0 && header[reserved_at] == page_digest_bytes;
}

/// The first 32 bits of a SHA-256 in hex, of a page without its last bytes. `number` counts from 0: a page in another
/// one's place is wrong too.
std::string digest_of(const unsigned char* page, std::size_t size, std::uint64_t number) {
  std::string text(reinterpret_cast<const char*>(page), size - page_digest_bytes);
  text += std::to_string(number);
  return sha256_hex(text).substr(0, page_digest_bytes);
}

/// One open file. Where it is a database it is checked from the moment its header says so.
struct File {
  sqlite3_file base;
  sqlite3_file* real;
  bool is_database;
  bool is_checked;
};

File* self(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real(sqlite3_file* file) { return self(file)->real; }

bool is_page(int bytes, sqlite3_int64 at) { return bytes >= 512 && (bytes & (bytes - 1)) == 0 && at % bytes == 0; }

void look_at_header(File* file, const unsigned char* bytes, int size, sqlite3_int64 at) {
  if (at == 0 && size >= static_cast<int>(header_bytes)) file->is_checked = has_digests(bytes);
}

int read(sqlite3_file* base, void* to, int size, sqlite3_int64 at) {
  File* file = self(base);
  const int code = file->real->pMethods->xRead(file->real, to, size, at);
  if (code != SQLITE_OK || !file->is_database) return code;
  const auto* bytes = static_cast<const unsigned char*>(to);
  look_at_header(file, bytes, size, at);
  if (!file->is_checked || !is_page(size, at)) return code;
  const auto length = static_cast<std::size_t>(size);
  const auto digest = digest_of(bytes, length, static_cast<std::uint64_t>(at / size));
  const bool sound = std::memcmp(bytes + length - page_digest_bytes, digest.data(), page_digest_bytes) == 0;
  return sound ? SQLITE_OK : SQLITE_IOERR_DATA;
}

int write(sqlite3_file* base, const void* from, int size, sqlite3_int64 at) {
  File* file = self(base);
  const auto* bytes = static_cast<const unsigned char*>(from);
  if (file->is_database) look_at_header(file, bytes, size, at);
  if (!file->is_checked || !is_page(size, at)) return file->real->pMethods->xWrite(file->real, from, size, at);
  const auto length = static_cast<std::size_t>(size);
  std::string page(static_cast<const char*>(from), length - page_digest_bytes);
  page += digest_of(bytes, length, static_cast<std::uint64_t>(at / size));
  return file->real->pMethods->xWrite(file->real, page.data(), size, at);
}

int close(sqlite3_file* base) {
  File* file = self(base);
  const int code = file->real->pMethods->xClose(file->real);
  std::free(file->real);  // NOLINT(cppcoreguidelines-no-malloc)
  return code;
}

const sqlite3_io_methods* methods() {
  static const sqlite3_io_methods all = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // without memory-mapped files, whose pages nobody would check
    m.xClose = close;
    m.xRead = read;
    m.xWrite = write;
    m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); };
    m.xSync = [](sqlite3_file* f, int flags) { return real(f)->pMethods->xSync(real(f), flags); };
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); };
    m.xLock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); };
    m.xUnlock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); };
    m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return real(f)->pMethods->xCheckReservedLock(real(f), out);
    };
    m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
      return real(f)->pMethods->xFileControl(real(f), op, arg);
    };
    m.xSectorSize = [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); };
    m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** to) {
      return real(f)->pMethods->xShmMap(real(f), page, size, extend, to);
    };
    m.xShmLock = [](sqlite3_file* f, int at, int n, int flags) {
      return real(f)->pMethods->xShmLock(real(f), at, n, flags);
    };
    m.xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); };
    m.xShmUnmap = [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); };
    return m;
  }();
  return &all;
}

int open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* base, int flags, int* out_flags) {
  File* file = self(base);
  file->base.pMethods = nullptr;
  // Asked each time, because tests put another one below.
  sqlite3_vfs* below = sqlite3_vfs_find(nullptr);
  file->real = static_cast<sqlite3_file*>(std::calloc(1, static_cast<std::size_t>(below->szOsFile)));  // NOLINT
  if (file->real == nullptr) return SQLITE_NOMEM;
  file->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  file->is_checked = false;
  const int code = below->xOpen(below, name, file->real, flags, out_flags);
  if (file->real->pMethods == nullptr) {
    std::free(file->real);  // NOLINT(cppcoreguidelines-no-malloc)
    return code;
  }
  file->base.pMethods = methods();
  return code;
}

/// Big-endian, as everything in SQLite's files but the words of a log's checksum.
std::uint32_t word(std::string_view text, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8U | static_cast<unsigned char>(text[at + i]);
  return value;
}

/// The write-ahead log (SQLite's file format, 4).
class Log {
 public:
  explicit Log(std::string_view text) : text_(text) {}

  /// Whether frames that were whole once would be dropped.
  bool is_damaged() {
    if (text_.size() < header_size) return false;
    const std::uint32_t kind = word(text_, 0);
    page_ = word(text_, 8);
    const bool plausible = page_ >= 512 && page_ <= 65536 && (page_ & (page_ - 1)) == 0;
    big_endian_ = (kind & 1U) != 0;
    // Its frames go on from the checksum that the header has: where the first one fits, the header was whole once.
    if ((kind & ~1U) != 0x377f0682 || !plausible) return text_.size() > header_size && looks_begun();
    add(text_.substr(0, 24));
    const Sum made = sum_;
    const Sum stored{word(text_, 24), word(text_, 28)};
    if (made != stored) return frames() > 0 && (first_follows(made) || first_follows(stored));
    std::size_t at = 0;
    while (at < frames() && is_ours(at) && frame_is_sound(at)) ++at;
    // Each transaction is on the disk before the next one is written: of a frame that is wrong and two commits from it
    // on, the first had come to its end.
    std::size_t commits = 0;
    for (; at < frames(); ++at) commits += is_ours(at) && word(text_, start(at) + 4) != 0 ? 1 : 0;
    return commits >= 2;
  }

 private:
  using Sum = std::array<std::uint32_t, 2>;
  static constexpr std::size_t header_size = 32;
  static constexpr std::size_t frame_header_size = 24;

  [[nodiscard]] std::size_t start(std::size_t frame) const { return header_size + frame * (frame_header_size + page_); }
  [[nodiscard]] std::size_t frames() const { return (text_.size() - header_size) / (frame_header_size + page_); }
  /// Of this log, and not of what the file held before it began anew.
  [[nodiscard]] bool is_ours(std::size_t frame) const {
    return text_.substr(start(frame) + 8, 8) == text_.substr(16, 8);
  }

  /// A header that cannot be read at all, and something behind it.
  [[nodiscard]] bool looks_begun() const {
    return text_.find_first_not_of('\0', header_size) != std::string_view::npos;
  }

  void add(std::string_view bytes) {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      sum_[0] += checksum_word(bytes, at) + sum_[1];
      sum_[1] += checksum_word(bytes, at + 4) + sum_[0];
    }
  }
  [[nodiscard]] std::uint32_t checksum_word(std::string_view bytes, std::size_t at) const {
    const std::uint32_t value = word(bytes, at);
    return big_endian_ ? value : __builtin_bswap32(value);
  }

  bool first_follows(const Sum& header) {
    sum_ = header;
    return frame_is_sound(0);
  }

  bool frame_is_sound(std::size_t frame) {
    const auto bytes = text_.substr(start(frame), frame_header_size + page_);
    add(bytes.substr(0, 8));
    add(bytes.substr(frame_header_size));
    return sum_ == Sum{word(bytes, 16), word(bytes, 20)};
  }

  std::string_view text_;
  std::size_t page_ = 0;
  bool big_endian_ = false;
  Sum sum_{};
};

}  // namespace

const char* checked_pages() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs made = *sqlite3_vfs_find(nullptr);
    made.zName = "k4t-checked-pages";
    made.szOsFile = sizeof(File);
    made.xOpen = open;
    return made;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, /*makeDflt=*/0);
  return registered == SQLITE_OK ? vfs.zName : nullptr;
}

void seal_pages(std::string& file) {
  const auto* header = reinterpret_cast<const unsigned char*>(file.data());
  if (file.size() < header_bytes || !has_digests(header)) return;
  std::size_t size = static_cast<std::size_t>(header[page_size_at]) << 8U | header[page_size_at + 1];
  if (size == 1) size = 65536;
  for (std::size_t at = 0; at + size <= file.size(); at += size) {
    const auto digest = digest_of(reinterpret_cast<const unsigned char*>(file.data()) + at, size, at / size);
    file.replace(at + size - page_digest_bytes, page_digest_bytes, digest);
  }
}

Result<void> check_log(const std::filesystem::path& database) {
  const std::string name = database.string() + "-wal";
  std::FILE* file = std::fopen(name.c_str(), "rbe");
  if (file == nullptr) return {};  // there is none, or SQLite says why it cannot be read
  std::string text;
  std::array<char, 65536> part{};
  for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), file)) > 0;) text.append(part.data(), got);
  std::fclose(file);
  if (!Log(text).is_damaged()) return {};
  return Error{Status::fatal,
               database.string() + " is damaged: move it away with " + name + " and restore a metadata copy",
               "the write-ahead log has a wrong frame before others that were written after it"};
}

}  // namespace k4t::store
