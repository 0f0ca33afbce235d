#include "checkpoint/pickle_machine.h"

#include <fmt/format.h>

#include <cstring>
#include <map>

#include "base/errors.h"

namespace speculators {
namespace {

using Kind = PickleValue::Kind;

// The stack machine of pickle.loads. A null pointer on the stack is a mark.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& place, std::deque<PickleValue>& values)
      : bytes_(bytes), place_(place), values_(values) {}

  const PickleValue* run() {
    while (true) {
      const auto opcode = read<uint8_t>();
      if (opcode == '.') return pop();
      if (!step_constant(opcode) && !step_container(opcode) && !step_class(opcode) && !step_memo(opcode)) {
        fail(fmt::format("pickle opcode 0x{:02x} is not supported", opcode));
      }
    }
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw DataError(fmt::format("{}: {} (at byte {})", place_, problem, position_));
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

  PickleValue& push(Kind kind) {
    values_.push_back({.kind = kind});
    stack_.push_back(&values_.back());
    return values_.back();
  }
  void push_number(Kind kind, int64_t number) { push(kind).number = number; }
  void push_text(Kind kind, std::string text) { push(kind).text = std::move(text); }

  PickleValue* pop() {
    if (stack_.empty() || stack_.back() == nullptr) fail("expected a value on the stack");
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }

  PickleValue& top() {
    if (stack_.empty() || stack_.back() == nullptr) fail("expected a value on the stack");
    return *stack_.back();
  }

  std::vector<const PickleValue*> pop_to_mark() {
    size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1] != nullptr) --mark;
    if (mark == 0) fail("expected a mark on the stack");
    const std::vector<const PickleValue*> items(stack_.begin() + static_cast<int64_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return items;
  }

  void push_tuple(size_t size) {
    std::vector<const PickleValue*> items(size);
    for (size_t i = size; i > 0; --i) items[i - 1] = pop();
    push(Kind::kTuple).items = std::move(items);
  }

  void append(std::vector<const PickleValue*> items) {
    if (!top().is(Kind::kList)) fail("expected a list on the stack");
    top().items.insert(top().items.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<const PickleValue*>& items) {
    if (!top().is(Kind::kDict) && !top().is(Kind::kCall)) fail("expected a dict on the stack");
    if (items.size() % 2 != 0) fail("expected pairs of key and value on the stack");
    for (size_t i = 0; i < items.size(); i += 2) top().entries.emplace_back(items[i], items[i + 1]);
  }

  void push_call() {
    const PickleValue* arguments = pop();
    const PickleValue* called = pop();
    if (!arguments->is(Kind::kTuple) || !called->is(Kind::kClass)) fail("expected a class and its arguments");
    push(Kind::kCall).items = {called, arguments};
  }

  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail(fmt::format("memo {} was never set", index));
    stack_.push_back(found->second);
  }

  bool step_constant(uint8_t opcode);
  bool step_container(uint8_t opcode);
  bool step_class(uint8_t opcode);
  bool step_memo(uint8_t opcode);

  std::span<const std::byte> bytes_;
  const std::string& place_;
  std::deque<PickleValue>& values_;
  size_t position_ = 0;
  std::vector<PickleValue*> stack_;
  std::map<uint64_t, PickleValue*> memo_;
};

bool Machine::step_constant(uint8_t opcode) {
  switch (opcode) {
    case 'N':  // NONE
      return push(Kind::kNone), true;
    case 0x88:  // NEWTRUE
      return push_number(Kind::kBool, 1), true;
    case 0x89:  // NEWFALSE
      return push_number(Kind::kBool, 0), true;
    case 'K':  // BININT1
      return push_number(Kind::kInt, read<uint8_t>()), true;
    case 'M':  // BININT2
      return push_number(Kind::kInt, read<uint16_t>()), true;
    case 'J':  // BININT
      return push_number(Kind::kInt, read<int32_t>()), true;
    case 0x8a:  // LONG1
      return push_number(Kind::kInt, read_long(read<uint8_t>())), true;
    case 0x8b:  // LONG4
      return push_number(Kind::kInt, read_long(read<uint32_t>())), true;
    case 'G':  // BINFLOAT
      return take(8), push(Kind::kFloat), true;
    case 0x8c:  // SHORT_BINUNICODE
      return push_text(Kind::kText, read_text(read<uint8_t>())), true;
    case 'X':  // BINUNICODE
      return push_text(Kind::kText, read_text(read<uint32_t>())), true;
    default:
      return false;
  }
}

bool Machine::step_container(uint8_t opcode) {
  switch (opcode) {
    case '(':  // MARK
      return stack_.push_back(nullptr), true;
    case ')':  // EMPTY_TUPLE
      return push_tuple(0), true;
    case 0x85:  // TUPLE1
    case 0x86:  // TUPLE2
    case 0x87:  // TUPLE3
      return push_tuple(opcode - 0x84), true;
    case 't': {  // TUPLE
      auto items = pop_to_mark();
      return push(Kind::kTuple).items = std::move(items), true;
    }
    case ']':  // EMPTY_LIST
      return push(Kind::kList), true;
    case 'a': {  // APPEND
      const PickleValue* item = pop();
      return append({item}), true;
    }
    case 'e':  // APPENDS
      return append(pop_to_mark()), true;
    case '}':  // EMPTY_DICT
      return push(Kind::kDict), true;
    case 's': {  // SETITEM
      const PickleValue* value = pop();
      const PickleValue* key = pop();
      return set_items({key, value}), true;
    }
    case 'u':  // SETITEMS
      return set_items(pop_to_mark()), true;
    default:
      return false;
  }
}

bool Machine::step_class(uint8_t opcode) {
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string module = read_line();
      return push_text(Kind::kClass, module + "." + read_line()), true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue* name = pop();
      const PickleValue* module = pop();
      if (!name->is(Kind::kText) || !module->is(Kind::kText)) fail("expected a module and a name on the stack");
      return push_text(Kind::kClass, module->text + "." + name->text), true;
    }
    case 'R':  // REDUCE
      return push_call(), true;
    case 'b':  // BUILD: the state of an object (of a state dict: its metadata), which nobody asks for
      return pop(), top(), true;
    case 'Q': {  // BINPERSID
      const PickleValue* id = pop();
      return push(Kind::kExternal).items = {id}, true;
    }
    default:
      return false;
  }
}

bool Machine::step_memo(uint8_t opcode) {
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = read<uint8_t>();
      if (protocol > 5) fail(fmt::format("pickle protocol {} is not known", protocol));
      return true;
    }
    case 0x95:  // FRAME: only a hint
      return read<uint64_t>(), true;
    case 'q':  // BINPUT
      return memo_[read<uint8_t>()] = &top(), true;
    case 'r':  // LONG_BINPUT
      return memo_[read<uint32_t>()] = &top(), true;
    case 0x94:  // MEMOIZE
      return memo_[memo_.size()] = &top(), true;
    case 'h':  // BINGET
      return recall(read<uint8_t>()), true;
    case 'j':  // LONG_BINGET
      return recall(read<uint32_t>()), true;
    default:
      return false;
  }
}

}  // namespace

Pickle::Pickle(std::span<const std::byte> bytes, const std::string& place) {
  root_ = Machine(bytes, place, values_).run();
}

}  // namespace speculators
