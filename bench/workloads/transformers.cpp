// SPDX-License-Identifier: MIT
// Training steps of transformers.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

void add_transformers(Workloads& to) {
  to.push_back({"encoder_step", nullptr, "waits for nn::TransformerEncoder"});
  to.push_back({"seq2seq_step", nullptr, "waits for nn::Transformer"});
}

}  // namespace bench
