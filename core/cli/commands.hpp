#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backup/keeper.hpp"
#include "cli/exit_code.hpp"
#include "cli/session.hpp"
#include "operation/master.hpp"

/// The commands. Each prints its own results and errors.

namespace k4t::cli {

struct ChangeArguments {
  std::vector<std::string> files;     ///< service files, and folders of them
  std::vector<std::string> services;  ///< names, for delete
  bool force = false;
  bool yes = false;
};
Exit run_plan(const Globals& globals, const ChangeArguments& arguments);
Exit run_apply(const Globals& globals, const ChangeArguments& arguments);
Exit run_delete(const Globals& globals, const ChangeArguments& arguments);
Exit run_sync(const Globals& globals, bool repair);

/// For scripts, on standard output.
void print_json(const Json& json);

struct NodeArguments {
  std::vector<std::string> names;
  std::string why;
  bool yes = false;
  bool lost = false;   ///< rm: the machine is gone for good
  bool force = false;  ///< add: also where it does not answer
  // Of a node to be added, as the user wrote it.
  std::string driver;
  std::string address;
  std::string ports;
  std::string subnet;
  std::string public_address;
  std::string public_ports;
  std::string cpu;
  std::string memory;
  std::vector<std::string> options;  ///< "key=value"
  std::vector<std::string> labels;   ///< "key=value"
};
Exit run_node_ls(const Globals& globals);
Exit run_node_show(const Globals& globals, const std::string& name);
Exit run_node_add(const Globals& globals, const NodeArguments& arguments);
Exit run_node_cordon(const Globals& globals, const NodeArguments& arguments);
Exit run_node_uncordon(const Globals& globals, const NodeArguments& arguments);
Exit run_node_drain(const Globals& globals, const NodeArguments& arguments);
Exit run_node_rm(const Globals& globals, const NodeArguments& arguments);
Exit run_repair(const Globals& globals, const NodeArguments& arguments);

struct ImageArguments {
  std::vector<std::string> images;  ///< for push: names or ids
  std::vector<std::string> nodes;   ///< empty: all that take images
  std::string archive;              ///< push: the file with the images
  std::string from;                 ///< push: a node, or where an engine is; empty with `archive`: this machine's
  std::vector<std::string> files;   ///< ls: service files, and folders of them
};
Exit run_image_push(const Globals& globals, const ImageArguments& arguments);
Exit run_image_ls(const Globals& globals, const ImageArguments& arguments);

/// What a user wrote cannot be meant.
inline Error wrong_use(std::string message) { return {Status::invalid_argument, std::move(message), {}}; }

/// Nothing was begun that could be half done: prints the error.
Exit refused(const Globals& globals, const Error& error);

/// Carries out what asks for consent once its plan is shown, with progress. Absent: why has been printed, and `exit` is
/// the command's.
using Carry = std::function<Result<operation::Report>(operation::Master&, const operation::ApplyOptions&)>;
std::optional<operation::Report> change(const char* command, Session& session, const Carry& carry,
                                        const std::function<bool()>& consent, bool force, Exit& exit);

/// How consent is had: by --yes, or by asking. INVALID_ARGUMENT: nobody can be asked.
Result<std::function<bool()>> consent_to(const Globals& globals, const std::string& what, bool yes);

/// Prints how a change ended.
Exit conclude(Session& session, const char* command, const Result<operation::Report>& report);

struct RecoverArguments {
  bool force = false;
  std::string cluster;  ///< typed with --force; empty: to be asked for
  std::string why;
};
Exit run_txn_ls(const Globals& globals);
Exit run_txn_show(const Globals& globals, const std::string& name);
Exit run_txn_recover(const Globals& globals, const RecoverArguments& arguments);
Exit run_txn_acknowledge(const Globals& globals);
/// `sync --overwrite`.
Exit run_overwrite(const Globals& globals, const std::vector<std::string>& names);
Exit run_diff(const Globals& globals, const ChangeArguments& arguments);

enum class WitnessVerb { add, rm, replace };
Exit run_witness_ls(const Globals& globals);
Exit run_witness_suggest(const Globals& globals);
Exit run_witness_change(const Globals& globals, WitnessVerb verb, const std::vector<std::string>& ids);

/// Brings what a command changed to where copies of the metadata are kept, and tells what came of it; the exit code
/// that then remains.
Exit keep_copies(Session& session, const char* command, Exit exit);
/// How long one look at a copy may take.
transport::Limits copy_limits();
/// Where they stand, as far as the master knows.
std::vector<backup::PlaceStanding> look_at_copies(Session& session, store::Store& store);
Exit run_init(const Globals& globals);
Exit run_backup_now(const Globals& globals, const std::vector<std::string>& places);
Exit run_backup_ls(const Globals& globals, const std::vector<std::string>& places);
Exit run_backup_verify(const Globals& globals, const std::vector<std::string>& places);

struct RestoreArguments {
  std::string from;     ///< a machine, or a place of k4t.toml
  std::string at;       ///< the newest copy that is no younger; empty: the newest
  std::string cluster;  ///< where there are copies of several
  std::string path;     ///< their folder; empty: the usual one
  std::string key;
  std::string passphrase_file;
  std::vector<std::string> identity;
  std::string known_hosts;
  bool force = false;  ///< also where there is metadata already
};
Exit run_restore(const Globals& globals, const RestoreArguments& arguments);

struct AdoptArguments {
  bool force = false;  ///< also when something may be declared that was not seen
  bool yes = false;
};
Exit run_adopt(Globals globals, const AdoptArguments& arguments);

Exit run_queue_add(const Globals& globals, const std::vector<std::string>& command);
Exit run_queue_ls(const Globals& globals);
Exit run_queue_rm(const Globals& globals, const std::vector<std::int64_t>& ids);
Exit run_master_status(const Globals& globals);
/// Ends when the machine may be powered off, by doing so, or when it is interrupted.
Exit run_master_run(const Globals& globals, bool then_off);

Exit run_status(const Globals& globals);
Exit run_ps(const Globals& globals, const std::vector<std::string>& services);

struct LogsArguments {
  std::string name;  ///< of an instance, or of a service: then all of its instances
  bool follow = false;
  std::uint32_t tail = 0;
  bool timestamps = false;
};
Exit run_logs(const Globals& globals, const LogsArguments& arguments);

/// `folders`: where to look; none: where the configuration says.
Exit run_plugin_ls(const Globals& globals, const std::vector<std::string>& folders);
Exit run_plugin_show(const Globals& globals, const std::string& name, const std::vector<std::string>& folders);
Exit run_config_check(const Globals& globals, const std::vector<std::string>& files);
Exit run_config_schema(const Globals& globals, const std::string& which);
Exit run_doctor(const Globals& globals);
std::string version_line();
Exit run_version(const Globals& globals);

}  // namespace k4t::cli
