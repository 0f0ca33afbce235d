#include "tokenizer/jinja/symbols.h"

#include <algorithm>

namespace speculators::jinja {

int Symbols::define(const std::string& name, Slot::Start start, Reference outer) {
  auto& slots = scope_->slots;
  const auto found = std::ranges::find(slots, name, &Slot::name);
  const int slot = static_cast<int>(found - slots.begin());
  if (found == slots.end()) slots.push_back({name, start, 0, -1});
  slots_[name] = slot;
  starts_[slot] = Slot{name, start, outer.hops, outer.slot};
  return slot;
}

std::optional<Symbols::Reference> Symbols::find(const std::string& name) const {
  int hops = 0;
  for (const Symbols* symbols = this; symbols != nullptr; symbols = symbols->parent_, ++hops) {
    const auto found = symbols->slots_.find(name);
    if (found != symbols->slots_.end()) return Reference{hops, found->second};
  }
  return std::nullopt;
}

void Symbols::load(const std::string& name) {
  if (!find(name)) define(name, Slot::Start::kResolve);
}

void Symbols::store(const std::string& name) {
  stored_.insert(name);
  if (slots_.contains(name)) return;
  const auto outer = parent_ != nullptr ? parent_->find(name) : std::nullopt;
  if (outer) {
    define(name, Slot::Start::kAlias, {outer->hops + 1, outer->slot});
  } else {
    define(name, Slot::Start::kUndefined);
  }
}

int Symbols::declare_parameter(const std::string& name) {
  stored_.insert(name);
  return define(name, Slot::Start::kParameter);
}

void Symbols::merge_branches(const std::vector<Symbols>& branches) {
  std::set<std::string> stored_in_branches;
  for (const Symbols& branch : branches) {
    for (const auto& name : branch.stored_) {
      if (!stored_.contains(name)) stored_in_branches.insert(name);
    }
  }
  for (const Symbols& branch : branches) {
    for (const auto& [name, slot] : branch.slots_) slots_[name] = slot;
    for (const auto& [slot, start] : branch.starts_) starts_[slot] = start;
    stored_.insert(branch.stored_.begin(), branch.stored_.end());
  }
  for (const auto& name : stored_in_branches) {
    const auto outer = parent_ != nullptr ? parent_->find(name) : std::nullopt;
    const int slot = find(name)->slot;
    starts_[slot] = outer ? Slot{name, Slot::Start::kAlias, outer->hops + 1, outer->slot}
                          : Slot{name, Slot::Start::kResolve, 0, -1};
  }
}

void Symbols::finish() {
  for (const auto& [slot, start] : starts_) scope_->slots[static_cast<size_t>(slot)] = start;
}

void Symbols::mark_closure() const {
  for (const Symbols* symbols = this; symbols != nullptr; symbols = symbols->parent_) {
    symbols->scope_->has_closures = true;
  }
}

}  // namespace speculators::jinja
