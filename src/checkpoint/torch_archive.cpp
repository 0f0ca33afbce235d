#include "checkpoint/torch_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/errors.h"
#include "checkpoint/pickle_machine.h"
#include "checkpoint/zip_archive.h"

namespace speculators {
namespace {

using Kind = PickleValue::Kind;
using Members = std::map<std::string, std::span<const std::byte>, std::less<>>;
constexpr int64_t kMaxElements = int64_t{1} << 40;

std::optional<DType> find_storage_type(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, DType>, 10> kTypes = {{
      {"torch.FloatStorage", DType::kF32},
      {"torch.HalfStorage", DType::kF16},
      {"torch.BFloat16Storage", DType::kBF16},
      {"torch.DoubleStorage", DType::kF64},
      {"torch.LongStorage", DType::kI64},
      {"torch.IntStorage", DType::kI32},
      {"torch.ShortStorage", DType::kI16},
      {"torch.CharStorage", DType::kI8},
      {"torch.ByteStorage", DType::kU8},
      {"torch.BoolStorage", DType::kBool},
  }};
  for (const auto& [known, dtype] : kTypes) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

// One tensor of the pickle, checked on the way to a view.
class TensorReader {
 public:
  TensorReader(const Members& members, const std::string& folder, std::string place)
      : members_(members), folder_(folder), place_(std::move(place)) {}

  TensorView read(const PickleValue& value, std::deque<std::vector<std::byte>>& copies) const {
    const PickleValue& call = unwrap_parameter(value);
    const std::vector<const PickleValue*>& arguments = call.items[1]->items;
    if (!call.items[0]->is_class("torch._utils._rebuild_tensor_v2")) refuse(call.items[0]->text);
    if (arguments.size() < 4 || !arguments[0]->is(Kind::kExternal)) fail("the arguments of a tensor are not as known");
    TensorView tensor = storage(*arguments[0]);
    tensor.shape = read_sizes(*arguments[2]);
    const std::vector<int64_t> strides = read_sizes(*arguments[3]);
    const int64_t offset = read_int(*arguments[1]);
    if (strides.size() != tensor.shape.size()) fail("shape and strides differ in length");
    check_extent(tensor, strides, offset);
    const auto element = static_cast<size_t>(size_of(tensor.dtype));
    if (is_dense(tensor.shape, strides)) {
      tensor.bytes = tensor.bytes.subspan(static_cast<size_t>(offset) * element,
                                          static_cast<size_t>(tensor.num_elements()) * element);
    } else {
      tensor.bytes = copies.emplace_back(gather(tensor, strides, offset));
    }
    return tensor;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const { throw DataError(fmt::format("{}: {}", place_, problem)); }
  [[noreturn]] void refuse(const std::string& name) const {
    fail(fmt::format("expected a tensor, found {}, which is not run", name));
  }

  const PickleValue& unwrap_parameter(const PickleValue& value) const {
    if (!value.is(Kind::kCall)) fail("expected a tensor, found another value");
    if (!value.items[0]->is_class("torch._utils._rebuild_parameter")) return value;
    const std::vector<const PickleValue*>& arguments = value.items[1]->items;
    if (arguments.empty() || !arguments[0]->is(Kind::kCall)) fail("a parameter without its tensor");
    return *arguments[0];
  }

  int64_t read_int(const PickleValue& value) const {
    if (!value.is(Kind::kInt) || value.number < 0 || value.number > kMaxElements) fail("a size is no possible number");
    return value.number;
  }

  std::vector<int64_t> read_sizes(const PickleValue& value) const {
    if (!value.is(Kind::kTuple)) fail("expected a tuple of sizes");
    std::vector<int64_t> sizes;
    for (const PickleValue* item : value.items) sizes.push_back(read_int(*item));
    return sizes;
  }

  // The persistent id ("storage", class, key, device, number of elements) -> its bytes.
  TensorView storage(const PickleValue& external) const {
    const std::vector<const PickleValue*>& id = external.items[0]->items;
    const bool known = external.items[0]->is(Kind::kTuple) && id.size() >= 3 && id[0]->is(Kind::kText) &&
                       id[0]->text == "storage" && id[1]->is(Kind::kClass) && id[2]->is(Kind::kText);
    if (!known) fail("the storage of a tensor is not as known");
    const std::optional<DType> dtype = find_storage_type(id[1]->text);
    if (!dtype) refuse(id[1]->text);
    const auto member = members_.find(folder_ + "data/" + id[2]->text);
    if (member == members_.end()) fail(fmt::format("storage {} is not in the archive", id[2]->text));
    return {*dtype, {}, member->second};
  }

  // No element may lie behind the storage's end; sizes stay far below an overflow.
  void check_extent(const TensorView& tensor, const std::vector<int64_t>& strides, int64_t offset) const {
    const auto held = static_cast<int64_t>(tensor.bytes.size()) / size_of(tensor.dtype);
    if (offset > held) fail(fmt::format("starts at element {} of a storage of {}", offset, held));
    int64_t count = 1, last = offset;
    for (size_t i = 0; i < strides.size(); ++i) {
      if (tensor.shape[i] == 0) return;
      if (count > kMaxElements / tensor.shape[i]) fail("the shape is impossibly large");
      count *= tensor.shape[i];
      if (strides[i] > 0 && tensor.shape[i] - 1 > kMaxElements / strides[i]) fail("a stride is impossibly large");
      last += (tensor.shape[i] - 1) * strides[i];
    }
    if (last >= held) {
      fail(fmt::format("{} reaches element {} of a storage of {}", shape_string(tensor.shape), last, held));
    }
    if (count > held) fail(fmt::format("{} repeats elements of its storage", shape_string(tensor.shape)));
  }

  static bool is_dense(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    int64_t expected = 1;
    for (size_t i = shape.size(); i > 0; --i) {
      if (shape[i - 1] != 1 && strides[i - 1] != expected) return false;
      expected *= shape[i - 1];
    }
    return true;
  }

  // The elements in row-major order.
  static std::vector<std::byte> gather(const TensorView& tensor, const std::vector<int64_t>& strides, int64_t offset) {
    const auto element = static_cast<size_t>(size_of(tensor.dtype));
    const int64_t count = tensor.num_elements();
    std::vector<std::byte> dense(static_cast<size_t>(count) * element);
    std::vector<int64_t> index(strides.size());
    int64_t at = offset;
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(dense.data() + static_cast<size_t>(i) * element,
                  tensor.bytes.data() + static_cast<size_t>(at) * element, element);
      for (size_t axis = strides.size(); axis-- > 0;) {
        at += strides[axis];
        if (++index[axis] < tensor.shape[axis]) break;
        at -= index[axis] * strides[axis];
        index[axis] = 0;
      }
    }
    return dense;
  }

  const Members& members_;
  const std::string& folder_;
  std::string place_;
};

}  // namespace

TorchArchive read_torch_archive(std::span<const std::byte> bytes, const std::string& place) {
  if (bytes.size() < 2 || static_cast<char>(bytes[0]) != 'P' || static_cast<char>(bytes[1]) != 'K') {
    throw DataError(fmt::format(
        "{}: expected the ZIP archive that torch.save writes since torch 1.6, found something else; load it in torch "
        "and save it again, best as safetensors",
        place));
  }
  const Members members = read_zip(bytes, place);
  const auto pickled =
      std::ranges::find_if(members, [](const auto& member) { return member.first.ends_with("data.pkl"); });
  if (pickled == members.end()) {
    throw DataError(fmt::format("{}: expected a member data.pkl, found none; was this written by torch.save?", place));
  }
  const std::string folder = pickled->first.substr(0, pickled->first.size() - std::string_view("data.pkl").size());
  const Pickle pickle(pickled->second, fmt::format("{}: {}", place, pickled->first));
  const PickleValue& root = pickle.root();
  const bool is_ordered = root.is(Kind::kCall) && root.items[0]->is_class("collections.OrderedDict");
  if (!root.is(Kind::kDict) && !is_ordered) {
    throw DataError(fmt::format("{}: expected a dict of tensors, found {}", place,
                                root.is(Kind::kCall) ? root.items[0]->text + ", which is not run" : "another object"));
  }
  TorchArchive archive;
  for (const auto& [name, value] : root.entries) {
    if (!name->is(Kind::kText)) throw DataError(fmt::format("{}: a tensor's name is no text", place));
    const TensorReader reader(members, folder, fmt::format("{}: {}", place, name->text));
    archive.tensors[name->text] = reader.read(*value, archive.copies);
  }
  return archive;
}

}  // namespace speculators
