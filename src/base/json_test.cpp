#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;

std::string error_of(const auto& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Json, BrokenTextNamesLineAndColumn) {
  EXPECT_THAT(error_of([] { parse_json("{\n \"a\": ]}", "config.json"); }), HasSubstr("config.json: line 2, column"));
}

TEST(JsonObject, NestedKeyIsNamedInFull) {
  const Json value = parse_json(R"({"rope": {"theta": "big"}})", "config.json");
  const JsonObject object(value, "config.json");
  EXPECT_EQ(error_of([&] { object.get_object("rope").get_double("theta"); }),
            "config.json: rope: theta: expected a number, found \"big\"");
}

TEST(JsonObject, NullCountsAsMissing) {
  const Json value = parse_json(R"({"a": null})", "x");
  EXPECT_EQ(JsonObject(value, "x").find_int("a"), std::nullopt);
  EXPECT_EQ(error_of([&] { JsonObject(value, "x").get_int("a"); }), "x: a: expected an integer, found nothing");
}

}  // namespace
}  // namespace speculators
