#pragma once

#include <vector>

#include "model/service.hpp"
#include "operation/history.hpp"
#include "plan/plan.hpp"
#include "store/store.hpp"
#include "txn/standing.hpp"

/// What the master sees when it only looks.

namespace k4t::operation {

/// What `status` shows.
struct Status {
  std::vector<model::Service> services;
  std::vector<plan::NodeView> nodes;
  std::vector<plan::Placed> instances;
  txn::Assessment assessment;
  std::vector<store::Operation> unfinished;
  std::vector<Decision> decisions;
  Contacts contacts;         ///< before this look
  store::Seconds now_s = 0;  ///< 0: no ages are known
};

/// Told by status() of what it finds as soon as it is known, each thing once, in whatever order it comes. Called from
/// several threads at once: implementations lock.
class StatusWatcher {
 public:
  virtual ~StatusWatcher() = default;
  /// First of all: what the master knows by itself. Nodes are there with their names, marks and nothing else.
  virtual void on_begin(const Status& /*known*/) {}
  /// What is decided, and who is going to be asked; see txn::Listener.
  virtual void on_decided(const txn::Assessment& /*assessment*/) {}
  virtual void on_witness(const txn::Peeked& /*witness*/) {}
  virtual void on_member(const txn::Member& /*member*/) {}
  virtual void on_node(const plan::NodeView& /*node*/) {}
};

}  // namespace k4t::operation
