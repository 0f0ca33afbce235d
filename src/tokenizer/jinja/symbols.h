// The names one scope knows while it is being read, and how each gets its first value.
// The rules are Jinja's: the first use decides. A name read first comes from outside; a name assigned first starts as
// the outer variable of that name, or undefined; a name assigned in only some branches of an `if` starts from outside.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

class Symbols {
 public:
  struct Reference {
    int hops, slot;
  };
  // `scope` gets the slots; copies of a Symbols (branches) share it.
  Symbols(Scope& scope, const Symbols* parent) : scope_(&scope), parent_(parent) {}

  void load(const std::string& name);
  void store(const std::string& name);
  int declare_parameter(const std::string& name);
  void merge_branches(const std::vector<Symbols>& branches);
  std::optional<Reference> find(const std::string& name) const;
  // Writes how slots start into the scope. Call once everything is visited.
  void finish();
  // Marks this scope and all around it as captured by a macro.
  void mark_closure() const;

 private:
  int define(const std::string& name, Slot::Start start, Reference outer = {0, -1});
  Scope* scope_;
  const Symbols* parent_;
  std::map<std::string, int> slots_;  // the names known so far
  std::map<int, Slot> starts_;        // by slot
  std::set<std::string> stored_;
};

}  // namespace speculators::jinja
