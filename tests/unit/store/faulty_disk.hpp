#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <stdexcept>

namespace k4t::testing {

/// A disk under SQLite on which, once armed, one write, sync or change of size fails; reads go on. As long as it lives
/// it is under every database that is opened. One at a time.
class FaultyDisk {
 public:
  FaultyDisk() {
    real_ = sqlite3_vfs_find(nullptr);
    vfs_ = *real_;
    vfs_.zName = "k4t-faulty";
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = open;
    if (sqlite3_vfs_register(&vfs_, /*makeDflt=*/1) != SQLITE_OK) throw std::runtime_error("sqlite3_vfs_register");
    self() = this;
  }
  ~FaultyDisk() {
    self() = nullptr;
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, /*makeDflt=*/1);
  }
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// The n-th change from now on (0: the next) fails with that code of SQLite's. `lasting`: all after it, too.
  void arm(int n, int code, bool lasting) {
    left_ = n;
    code_ = code;
    lasting_ = lasting;
    failed_ = false;
  }
  void disarm() {
    left_ = -1;
    cut_ = false;
  }
  /// From now on every change fails, until disarm(); from any thread.
  void cut() { cut_ = true; }
  /// Called when a change fails, in the thread that makes it.
  std::function<void()> on_failure;

  /// Whether one has failed since it was armed.
  [[nodiscard]] bool has_failed() const { return failed_; }

 private:
  struct File {
    sqlite3_file base;
    sqlite3_file* real;
  };

  static FaultyDisk*& self() {
    static FaultyDisk* one = nullptr;
    return one;
  }
  static sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

  /// SQLITE_OK: this change may be made.
  static int next() {
    FaultyDisk* disk = self();
    if (disk == nullptr) return SQLITE_OK;
    if (disk->cut_) return SQLITE_IOERR;
    if (disk->left_ < 0) return SQLITE_OK;
    if (disk->left_ > 0) {
      --disk->left_;
      return SQLITE_OK;
    }
    disk->failed_ = true;
    if (disk->on_failure) disk->on_failure();
    if (!disk->lasting_) disk->left_ = -1;
    return disk->code_;
  }

  static int open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    auto* one = reinterpret_cast<File*>(file);
    one->base.pMethods = nullptr;
    one->real = reinterpret_cast<sqlite3_file*>(one + 1);
    std::memset(one->real, 0, static_cast<std::size_t>(self()->real_->szOsFile));
    const int code = self()->real_->xOpen(self()->real_, name, one->real, flags, out_flags);
    if (one->real->pMethods != nullptr) one->base.pMethods = methods();
    return code;
  }

  static const sqlite3_io_methods* methods() {
    static sqlite3_io_methods all = [] {
      sqlite3_io_methods m{};
      m.iVersion = 2;  // no memory-mapped files: what they write is not seen
      m.xClose = [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); };
      m.xRead = [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
        return real(f)->pMethods->xRead(real(f), to, n, at);
      };
      m.xWrite = [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
        const int code = next();
        return code != SQLITE_OK ? code : real(f)->pMethods->xWrite(real(f), from, n, at);
      };
      m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
        const int code = next();
        return code != SQLITE_OK ? code : real(f)->pMethods->xTruncate(real(f), size);
      };
      // No power cut comes here, so that nothing has to wait for the real disk.
      m.xSync = [](sqlite3_file* /*file*/, int /*flags*/) { return next(); };
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

  sqlite3_vfs* real_ = nullptr;
  sqlite3_vfs vfs_{};
  int left_ = -1;
  int code_ = 0;
  bool lasting_ = false;
  bool failed_ = false;
  std::atomic<bool> cut_ = false;
};

}  // namespace k4t::testing
