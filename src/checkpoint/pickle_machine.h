// A pickle read as inert values: classes and calls stay names, nothing is imported and nothing is run. What a value
// means is up to who asked (token counts in pickle.cpp, weights in torch_archive.cpp).
// Source: Python's pickletools, protocols 0 to 5 as far as torch.save uses them.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace speculators {

struct PickleValue {
  enum class Kind {
    kNone,
    kBool,      // number
    kInt,       // number
    kText,      // text
    kFloat,     // without its value: no reader wants one
    kTuple,     // items
    kList,      // items
    kDict,      // entries
    kClass,     // text: "module.name"
    kCall,      // items: what is called and the tuple of its arguments; entries: what was set on the result
    kExternal,  // items: the persistent id
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;
  std::string text;
  std::vector<const PickleValue*> items;
  std::vector<std::pair<const PickleValue*, const PickleValue*>> entries;

  bool is(Kind other) const { return kind == other; }
  // The class of this name, not a call of it.
  bool is_class(std::string_view name) const { return kind == Kind::kClass && text == name; }
};

// Owns the values; they may refer to each other in circles.
class Pickle {
 public:
  // Throws DataError that starts with `place` for damage, unknown opcodes and absurd sizes.
  Pickle(std::span<const std::byte> bytes, const std::string& place);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;
  const PickleValue& root() const { return *root_; }

 private:
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
};

}  // namespace speculators
