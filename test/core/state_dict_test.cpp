// SPDX-License-Identifier: MIT
#include "sinter/core/state_dict.hpp"

#include <catch2/catch.hpp>

using namespace sinter;

namespace {
Ref<TensorImpl> vector(int n) { return TensorImpl::empty(DType::float32, Shape{n}); }
}  // namespace

TEST_CASE("a state dict keeps the order of insertion and replaces in place") {
  StateDict state;
  CHECK(state.empty());
  state.insert("b", vector(1));
  state.insert("a", vector(2));
  state.set("c", vector(3));
  state.set("b", vector(4));
  std::string names;
  for (const auto& [name, tensor] : state) names += name + std::to_string(tensor->sizes[0]) + ' ';
  CHECK(names == "b4 a2 c3 ");
  CHECK(state.size() == 3);
  CHECK(state.contains("a"));
  CHECK_FALSE(state.contains("d"));
}

TEST_CASE("looking up a missing, doubled or null tensor says which") {
  StateDict state;
  state.insert("fc.weight", vector(1));
  CHECK(state.find("fc.bias") == nullptr);
  CHECK((*state.find("fc.weight"))->sizes[0] == 1);
  CHECK(state.at("fc.weight")->sizes[0] == 1);
  CHECK_THROWS_WITH(state.at("fc.bias"), "state_dict: no tensor is named \"fc.bias\" (there are 1)");
  CHECK_THROWS_AS(state.at(""), Error);
  CHECK_THROWS_WITH(state.insert("fc.weight", vector(2)), Catch::Contains("already a tensor named \"fc.weight\""));
  CHECK_THROWS_AS(state.set("x", {}), ValueError);
  CHECK(state.size() == 1);
  CHECK_FALSE(state.contains("x"));
}

TEST_CASE("a copy shares the tensors but not the list") {
  StateDict a;
  a.metadata["format"] = "pt";
  a.insert("x", vector(1));
  StateDict b = a;
  b.insert("y", vector(1));
  CHECK(a.size() == 1);
  CHECK(b.at("x") == a.at("x"));
  CHECK(b.metadata.at("format") == "pt");
}

TEST_CASE("thousands of names are found at once") {
  StateDict state;
  for (int i = 0; i < 20000; ++i) state.insert("layer." + std::to_string(i) + ".weight", vector(1));
  for (int i = 0; i < 20000; ++i) REQUIRE(state.contains("layer." + std::to_string(i) + ".weight"));
  CHECK((state.begin() + 7)->first == "layer.7.weight");
}
