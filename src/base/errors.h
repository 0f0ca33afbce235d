// The three errors the library throws; anything else that escapes is our bug.
// A message reads: place, expected, found, cure. Only cli/ and serve/ catch.
#pragma once

#include <stdexcept>
#include <string>

namespace speculators {

// A flag, an option or a request is wrong: exit code 2, HTTP 400.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file, a checkpoint or a data set is wrong: exit code 1.
struct DataError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A tensor does not have the shape or dtype that a module asks for.
struct ShapeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Ctrl-C or SIGTERM was seen and the work so far is saved: exit code 130.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace speculators
