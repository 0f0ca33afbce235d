#include "checkpoint/pickle.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/errors.h"
#include "checkpoint/zip_archive.h"

namespace speculators {
namespace {

struct Mark {};
struct EmptyTuple {};
using Counts = std::map<int64_t, int64_t>;
using Dict = std::shared_ptr<Counts>;
struct DictType {};  // the class Counter or OrderedDict, before it is called
struct DictTuple {
  Dict dict;
};  // its arguments: one dict
using Value = std::variant<Mark, int64_t, Dict, std::string, DictType, EmptyTuple, DictTuple>;

// The pickle machine, cut down to dicts of ints.
class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  Counts run() {
    while (true) {
      const auto opcode = read<uint8_t>();
      if (opcode == '.') break;
      step(opcode);
    }
    return *pop<Dict>("a dict");
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw DataError(
        fmt::format("{}: {} (at byte {}); expected a dict of token id -> count", place_, problem, position_));
  }

  std::span<const std::byte> take(uint64_t size) {
    if (size > bytes_.size() - position_) fail("the pickle is cut short");
    const auto taken = bytes_.subspan(position_, static_cast<size_t>(size));
    position_ += taken.size();
    return taken;
  }

  template <class Number>
  Number read() {
    Number number;
    std::memcpy(&number, take(sizeof number).data(), sizeof number);
    return number;
  }

  std::string read_text(uint64_t size) {
    const auto text = take(size);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  std::string read_line() {
    std::string line;
    for (char c = read<char>(); c != '\n'; c = read<char>()) line += c;
    return line;
  }

  // Little-endian two's complement of any width up to 8 bytes; Python writes 0 as no bytes at all.
  int64_t read_long(uint64_t size) {
    if (size > sizeof(int64_t)) fail(fmt::format("an integer of {} bytes is too large", size));
    const auto bytes = take(size);
    uint64_t value = !bytes.empty() && (static_cast<uint8_t>(bytes.back()) & 0x80) ? ~uint64_t{0} : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return static_cast<int64_t>(value);
  }

  template <class Kind>
  Kind pop(std::string_view expected) {
    if (stack_.empty() || !std::holds_alternative<Kind>(stack_.back()))
      fail(fmt::format("expected {} on the stack", expected));
    Kind value = std::move(std::get<Kind>(stack_.back()));
    stack_.pop_back();
    return value;
  }

  Value& top() {
    if (stack_.empty()) fail("the stack is empty");
    return stack_.back();
  }

  void set_item() {
    const auto count = pop<int64_t>("an integer as count");
    const auto token = pop<int64_t>("an integer as token id");
    if (!std::holds_alternative<Dict>(top())) fail("expected a dict on the stack");
    (*std::get<Dict>(top()))[token] = count;
  }

  void set_items() {
    std::vector<std::pair<int64_t, int64_t>> items;
    while (!std::holds_alternative<Mark>(top())) {
      const auto count = pop<int64_t>("an integer as count");
      items.emplace_back(pop<int64_t>("an integer as token id"), count);
    }
    stack_.pop_back();
    if (!std::holds_alternative<Dict>(top())) fail("expected a dict on the stack");
    // Popped backwards: of a key given twice the last one counts.
    for (auto item = items.rbegin(); item != items.rend(); ++item) (*std::get<Dict>(top()))[item->first] = item->second;
  }

  void push_class(const std::string& module, const std::string& name) {
    if (module != "collections" || (name != "Counter" && name != "OrderedDict")) {
      fail(fmt::format("it asks for {}.{}, which is not run", module, name));
    }
    stack_.emplace_back(DictType{});
  }

  // Counter(dict) or OrderedDict().
  void call_class() {
    Dict dict = std::make_shared<Counts>();
    if (std::holds_alternative<EmptyTuple>(top())) {
      stack_.pop_back();
    } else {
      dict = pop<DictTuple>("the arguments of a dict class").dict;
    }
    pop<DictType>("a dict class");
    stack_.emplace_back(std::move(dict));
  }

  void memoize(size_t index) {
    constexpr size_t kMaxMemo = 1 << 16;  // a dict of ints needs one; this bounds what a damaged file may ask for
    if (index >= kMaxMemo) fail("the memo is too large");
    if (index >= memo_.size()) memo_.resize(index + 1);
    memo_[index] = top();
  }

  void recall(size_t index) {
    if (index >= memo_.size() || !memo_[index]) fail(fmt::format("memo {} was never set", index));
    stack_.push_back(*memo_[index]);
  }

  void step(uint8_t opcode);
  bool step_number(uint8_t opcode);
  bool step_class(uint8_t opcode);

  std::span<const std::byte> bytes_;
  const std::string& place_;
  size_t position_ = 0;
  std::vector<Value> stack_;
  std::vector<std::optional<Value>> memo_;
};

bool Unpickler::step_number(uint8_t opcode) {
  switch (opcode) {
    case 'K':
      stack_.emplace_back(int64_t{read<uint8_t>()});
      return true;  // BININT1
    case 'M':
      stack_.emplace_back(int64_t{read<uint16_t>()});
      return true;  // BININT2
    case 'J':
      stack_.emplace_back(int64_t{read<int32_t>()});
      return true;  // BININT
    case 0x8a:
      stack_.emplace_back(read_long(read<uint8_t>()));
      return true;  // LONG1
    case 0x8b:
      stack_.emplace_back(read_long(read<uint32_t>()));
      return true;  // LONG4
    default:
      return false;
  }
}

bool Unpickler::step_class(uint8_t opcode) {
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string module = read_line();
      push_class(module, read_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const auto name = pop<std::string>("a name");
      push_class(pop<std::string>("a module"), name);
      return true;
    }
    case 0x8c:
      stack_.emplace_back(read_text(read<uint8_t>()));
      return true;  // SHORT_BINUNICODE
    case 'X':
      stack_.emplace_back(read_text(read<uint32_t>()));
      return true;  // BINUNICODE
    case ')':
      stack_.emplace_back(EmptyTuple{});
      return true;  // EMPTY_TUPLE
    case 0x85:
      stack_.emplace_back(DictTuple{pop<Dict>("a dict")});
      return true;  // TUPLE1
    case 'R':
      call_class();
      return true;  // REDUCE
    default:
      return false;
  }
}

void Unpickler::step(uint8_t opcode) {
  if (step_number(opcode) || step_class(opcode)) return;
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = read<uint8_t>();
      if (protocol > 5) fail(fmt::format("pickle protocol {} is not known", protocol));
      return;
    }
    case 0x95:
      read<uint64_t>();
      return;  // FRAME: only a hint
    case '}':
      stack_.emplace_back(std::make_shared<Counts>());
      return;  // EMPTY_DICT
    case '(':
      stack_.emplace_back(Mark{});
      return;  // MARK
    case 's':
      set_item();
      return;  // SETITEM
    case 'u':
      set_items();
      return;  // SETITEMS
    case 'q':
      memoize(read<uint8_t>());
      return;  // BINPUT
    case 'r':
      memoize(read<uint32_t>());
      return;  // LONG_BINPUT
    case 0x94:
      memoize(memo_.size());
      return;  // MEMOIZE
    case 'h':
      recall(read<uint8_t>());
      return;  // BINGET
    case 'j':
      recall(read<uint32_t>());
      return;  // LONG_BINGET
    default:
      fail(fmt::format("pickle opcode 0x{:02x} is not supported", opcode));
  }
}

}  // namespace

std::map<int64_t, int64_t> unpickle_counts(std::span<const std::byte> pickle, const std::string& place) {
  return Unpickler(pickle, place).run();
}

std::map<int64_t, int64_t> read_token_freq(const fs::path& path) {
  const MappedFile file(path);
  // The members lie in a folder named after the file that torch wrote.
  for (const auto& [name, content] : read_zip(file.bytes(), path.string())) {
    if (name.ends_with("/data.pkl")) return unpickle_counts(content, fmt::format("{}: {}", path.string(), name));
  }
  throw DataError(
      fmt::format("{}: expected a member data.pkl, found none; was this written by torch.save?", path.string()));
}

}  // namespace speculators
