// SPDX-License-Identifier: MIT
// conformance [--json] FILE_OR_DIR...: evaluates every case of the files and compares with the expected values. Prints a
// line for each case that fails and the totals; with --json, one object. Exit status 1 where a case fails.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>

#include "conformance/attributes.hpp"
#include "conformance/case.hpp"
#include "sinter/io/safetensors.hpp"

namespace conformance {
namespace {

using nlohmann::json;

struct Mismatch : Error {
  using Error::Error;
};

// Row-major elements of any layout as numbers.
std::vector<double> elements(const TensorImpl& t) {
  std::vector<double> v(std::size_t(t.numel()));
  for (std::size_t i = 0; i < v.size(); ++i) {
    std::int64_t rest = std::int64_t(i), at = 0;
    for (int d = t.rank - 1; d >= 0; --d) {
      at += rest % t.sizes[d] * t.strides[d];
      rest /= t.sizes[d];
    }
    switch (t.dtype) {
      case DType::float32: v[i] = double(static_cast<const float*>(t.data)[at]); break;
      case DType::float64: v[i] = static_cast<const double*>(t.data)[at]; break;
      case DType::int64: v[i] = double(static_cast<const std::int64_t*>(t.data)[at]); break;
      case DType::boolean: v[i] = static_cast<const unsigned char*>(t.data)[at]; break;
      default: fail<Mismatch>("dtype ", t.dtype, " occurs in no case");
    }
  }
  return v;
}

void compare(const std::string& what, const Value& got, const Value& expected, double rtol, double atol) {
  if (!got) fail<Mismatch>(what, ": nothing, expected shape ", expected->shape());
  bool same = got->rank == expected->rank;
  for (int i = 0; same && i < got->rank; ++i) same = got->sizes[i] == expected->sizes[i];
  if (!same) fail<Mismatch>(what, ": shape ", got->shape(), ", expected ", expected->shape());
  if (got->dtype != expected->dtype) fail<Mismatch>(what, ": dtype ", got->dtype, ", expected ", expected->dtype);
  const bool exact = got->dtype == DType::int64 || got->dtype == DType::boolean;
  const std::vector<double> g = elements(*got), e = elements(*expected);
  std::size_t bad = 0, first = 0;
  for (std::size_t i = g.size(); i-- > 0;) {
    const bool ok = (std::isnan(g[i]) && std::isnan(e[i])) || g[i] == e[i] ||
                    (!exact && std::isfinite(e[i]) && std::abs(g[i] - e[i]) <= atol + rtol * std::abs(e[i]));
    if (!ok) ++bad, first = i;
  }
  if (bad) {
    std::ostringstream numbers;
    numbers.precision(9);
    numbers << g[first] << ", expected " << e[first];
    fail<Mismatch>(what, ": element ", first, " of ", got->shape(), " is ", numbers.str(), " (", bad, " of ", g.size(), " differ)");
  }
}

Value integers(const TensorImpl& t) {
  const std::vector<double> v = elements(t);
  Value whole = empty_dense(DType::int64, t.shape());
  std::copy(v.begin(), v.end(), static_cast<std::int64_t*>(whole->data));
  return whole;
}

Value copy_of(const Value& stored) {
  Value v = empty_dense(stored->dtype, stored->shape());
  std::memcpy(v->data, stored->data, std::size_t(v->numel()) * std::size_t(size_of(v->dtype)));
  return v;
}

Value apply_view(const Value& x, const json& view) {
  if (view.is_null()) return x;
  Ints sizes(x->sizes, x->sizes + x->rank), strides(x->strides, x->strides + x->rank);
  std::int64_t offset = 0;
  const auto dim = [&](std::int64_t d) { return std::size_t(d < 0 ? d + x->rank : d); };
  if (view.contains("transpose")) {
    const Ints d = view["transpose"];
    std::swap(sizes[dim(d[0])], sizes[dim(d[1])]);
    std::swap(strides[dim(d[0])], strides[dim(d[1])]);
  } else if (view.contains("narrow")) {
    const Ints n = view["narrow"];
    offset = n[1] * strides[dim(n[0])];
    sizes[dim(n[0])] = n[2];
  } else {
    const Ints to = view.at("expand");
    const std::size_t more = to.size() - sizes.size();
    Ints widened = to, steps(to.size(), 0);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (to[more + i] == -1) widened[more + i] = sizes[i];
      if (widened[more + i] == sizes[i]) steps[more + i] = strides[i];
    }
    sizes = widened, strides = steps;
  }
  return strided(x, sizes, strides, offset);
}

class Runner {
 public:
  Runner(const StateDict& tensors, const json& spec) : tensors_(tensors), spec_(spec) {}

  // Throws where the case fails.
  void run() {
    const bool refuse = spec_.value("expect_error", false);
    const std::string op = spec_.at("op");
    const Function* f = find(op);
    if (!f) fail<Mismatch>("the op ", op, " is unknown");
    if (!refuse) return evaluate(*f);
    std::string message;
    try {
      prepare();
      (*f)(c_);
    } catch (const Mismatch&) {
      throw;
    } catch (const std::exception& e) {
      message = e.what();
      if (message.compare(0, 10, "the runner") == 0) throw;
      for (const std::string part : spec_.at("message_contains"))
        if (message.find(part) == std::string::npos) fail<Mismatch>("the message lacks \"", part, "\": ", message);
      return;
    }
    fail<Mismatch>("was not refused");
  }

 private:
  Value stored(const json& name) const { return copy_of(tensors_.at(name.get<std::string>())); }
  Values list(const json& names) const {
    Values v;
    for (const json& name : names) v.push_back(name.is_null() ? Value() : stored(name));
    return v;
  }
  void prepare() {
    c_.name = spec_.at("name");
    c_.op = spec_.at("op");
    c_.is_double = spec_.value("dtype", "F32") == "F64";
    c_.is_integer = spec_.value("dtype", "F32") == "I64";
    c_.attrs = std::make_shared<Attributes>(Attributes{spec_.value("attrs", json::object())});
    inputs_ = list(spec_.value("inputs", spec_.value("params", json::array())));
    const bool backward = spec_.contains("grad_outputs");
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      Value x = inputs_[i];
      if (x && backward && (x->dtype == DType::float32 || x->dtype == DType::float64)) x->requires_grad = true;
      if (x && spec_.contains("views")) x = apply_view(x, spec_["views"][i]);
      c_.inputs.push_back(x);
    }
    if (spec_.contains("state"))
      for (const auto& [key, name] : spec_["state"].items()) c_.state.insert(key, stored(name));
    if (spec_.contains("grads"))
      for (const json& step : spec_["grads"]) c_.gradients.push_back(list(step));
  }
  void compare_state(const char* key, const char* what, const StateDict& got, bool gradients, double rtol, double atol) {
    if (!spec_.contains(key)) return;
    for (const auto& [name, expected] : spec_[key].items()) {
      if (expected.is_null()) continue;
      const Value* v = got.find(name);
      if (!v) fail<Mismatch>(what, name, ": is missing");
      compare(what + name, gradients ? (*v)->grad : *v, stored(expected), rtol, atol);
    }
  }
  void evaluate(const Function& f) {
    prepare();
    const double rtol = spec_.value("rtol", 0.0), atol = spec_.value("atol", 0.0);
    const Values got = f(c_);
    if (spec_.contains("expected")) {
      const json& steps = spec_["expected"];
      if (steps.size() != c_.steps.size()) fail<Mismatch>(c_.steps.size(), " steps, expected ", steps.size());
      for (std::size_t s = 0; s < steps.size(); ++s)
        for (std::size_t p = 0; p < steps[s].size(); ++p)
          compare("step " + std::to_string(s) + " parameter " + std::to_string(p), c_.steps[s][p], stored(steps[s][p]), rtol, atol);
      return;
    }
    Values expected = list(spec_.at("outputs"));
    if (c_.is_integer)  // the files hold these integers as F64
      for (Value& e : expected) e = integers(*e);
    if (got.size() != expected.size()) fail<Mismatch>(got.size(), " outputs, expected ", expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      compare("output " + std::to_string(i), got[i], expected[i], rtol, atol);
    if (spec_.contains("grad_outputs")) {
      std::vector<Edge> roots;
      Values grads;
      const Values flowing = list(spec_["grad_outputs"]);
      for (std::size_t i = 0; i < flowing.size(); ++i) {
        if (!flowing[i] || !got[i]) continue;
        if (!requires_grad(got[i])) continue;  // then the expected gradients must be zero
        roots.emplace_back(got[i]);
        grads.push_back(flowing[i]);
      }
      if (!roots.empty()) run_backward(roots.data(), grads.data(), roots.size(), false, nullptr);
      if (spec_.contains("grad_inputs")) {
        const Values wanted = list(spec_["grad_inputs"]);
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          if (!wanted[i]) continue;
          Value g = inputs_[i]->grad;
          if (!g) {  // no path: zero
            g = empty_dense(inputs_[i]->dtype, inputs_[i]->shape());
            std::memset(g->data, 0, std::size_t(g->numel()) * std::size_t(size_of(g->dtype)));
          }
          compare("gradient of input " + std::to_string(i), g, wanted[i], rtol, atol);
        }
      }
      compare_state("grad_state", "gradient of ", c_.parameters, true, rtol, atol);
    }
    compare_state("state_after", "buffer ", c_.buffers, false, rtol, atol);
  }

  const StateDict& tensors_;
  const json& spec_;
  Case c_;
  Values inputs_;  // before their views
};

struct Totals {
  int passed = 0, failed = 0, skipped = 0;
};

void run_file(const std::string& path, Totals& totals, json* report) {
  const StateDict tensors = load(path);
  const json cases = json::parse(tensors.metadata.at("cases"));
  const std::string family = tensors.metadata.at("family");
  for (const json& spec : cases) {
    const std::string name = spec.at("name");
    std::string problem;
    try {
      Runner(tensors, spec).run();
      ++totals.passed;
    } catch (const std::exception& e) {
      problem = *e.what() ? e.what() : "an exception without a message";
    } catch (...) {
      problem = "an exception that is not derived from std::exception";
    }
    if (!problem.empty()) {
      ++totals.failed;
      std::replace(problem.begin(), problem.end(), '\n', ' ');
      if (!report) std::cout << "FAIL " << name << " (" << family << '/' << spec.at("op").get<std::string>() << "): " << problem << std::endl;
    }
    if (report)
      (*report)["cases"].push_back({{"family", family}, {"name", name}, {"op", spec.at("op")}, {"passed", problem.empty()}, {"problem", problem}});
  }
}

int run(std::vector<std::string> args) {
  json report = {{"cases", json::array()}};
  const auto flag = std::find(args.begin(), args.end(), "--json");
  const bool as_json = flag != args.end();
  if (as_json) args.erase(flag);
  if (args.empty()) {
    std::cerr << "usage: conformance [--json] FILE_OR_DIR...\n";
    return 2;
  }
  std::vector<std::string> files;
  for (const std::string& arg : args) {
    if (std::filesystem::is_directory(arg)) {
      for (const auto& entry : std::filesystem::directory_iterator(arg))
        if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
    } else {
      files.push_back(arg);
    }
  }
  std::sort(files.begin(), files.end());
  Totals totals;
  for (const std::string& file : files) run_file(file, totals, as_json ? &report : nullptr);
  if (as_json) {
    report["passed"] = totals.passed;
    report["failed"] = totals.failed;
    report["skipped"] = totals.skipped;
    std::cout << report.dump(1, ' ', true, json::error_handler_t::replace) << '\n';
  } else {
    std::cout << totals.passed << " passed, " << totals.failed << " failed, " << totals.skipped << " skipped\n";
  }
  return totals.failed ? 1 : 0;
}

}  // namespace
}  // namespace conformance

int main(int argc, char** argv) {
  try {
    return conformance::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << "conformance: " << e.what() << '\n';
    return 2;
  }
}
