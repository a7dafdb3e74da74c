// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json.hpp>

namespace conformance {
struct Attributes {
  nlohmann::json json;
};
}  // namespace conformance
