// SPDX-License-Identifier: MIT
// A training step of a recurrent net.
#include "../bench.hpp"

namespace bench {

void add_lstm(Workloads& to) { to.push_back({"lstm_step", nullptr, "waits for nn::LSTM"}); }

}  // namespace bench
