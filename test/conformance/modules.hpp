// SPDX-License-Identifier: MIT
// How a module's case is run: state in, forward, parameters and buffers out by name.
#pragma once

#include "conformance/case.hpp"
#include "sinter/nn/module.hpp"

namespace conformance {

// forward(module) gives the outputs.
template <class M, class F>
Values run_module(Case& c, M& module, F forward) {
  module.train(c.flag("training", true));
  module.load_state_dict(c.state);
  Values out = forward(module);
  for (const nn::NamedTensor& t : module.named_parameters()) c.parameters.insert(t.name, t.tensor);
  for (const nn::NamedTensor& t : module.named_buffers()) c.buffers.insert(t.name, t.tensor);
  return out;
}

}  // namespace conformance
