#include "cli/status_printer.hpp"

#include <utility>

namespace k4t::cli {

StatusPrinter::StatusPrinter(const model::Cluster& cluster, bool colours, bool even_unfinished,
                             std::chrono::milliseconds patience, Write write)
    : even_unfinished_(even_unfinished),
      patience_(patience),
      write_(std::move(write)),
      text_(cluster, colours),
      watcher_([this] { watch(); }) {}

StatusPrinter::~StatusPrinter() {
  const std::scoped_lock lock(mutex_);
  over_ = true;
  changed_.notify_all();
}

void StatusPrinter::on_begin(const operation::Status& known) {
  learn([&](StatusPage& text) { text.begin(known); });
}

void StatusPrinter::on_decided(const txn::Assessment& assessment) {
  learn([&](StatusPage& text) {
    text.decided(assessment);
    muted_ = assessment.unfinished && !even_unfinished_;
  });
}

void StatusPrinter::on_witness(const txn::Peeked& witness) {
  learn([&](StatusPage& text) { text.witness(witness); });
}

void StatusPrinter::on_member(const txn::Member& member) {
  learn([&](StatusPage& text) { text.member(member); });
}

void StatusPrinter::on_node(const plan::NodeView& node) {
  learn([&](StatusPage& text) { text.node(node); });
}

void StatusPrinter::finish(const operation::Status& status) {
  const std::scoped_lock lock(mutex_);
  over_ = true;
  changed_.notify_all();
  print(text_.finish(status));
}

void StatusPrinter::learn(const std::function<void(StatusPage&)>& what) {
  const std::scoped_lock lock(mutex_);
  what(text_);
  ++learnt_;
  print(text_.take());
  changed_.notify_all();
}

void StatusPrinter::print(const std::string& text) {
  if (!text.empty() && !muted_) write_(text);
}

void StatusPrinter::watch() {
  std::unique_lock lock(mutex_);
  while (!over_) {
    const auto seen = learnt_;
    const bool moving = changed_.wait_for(lock, patience_, [&] { return over_ || learnt_ != seen; });
    if (!moving && text_.holds_back()) print(text_.let_go());
  }
}

}  // namespace k4t::cli
