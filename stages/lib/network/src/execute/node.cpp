// A node of libtorch's autograd whose backward pass is a function of ours. libtorch offers this to C++ and Python; the
// Rust binding does not pass it on. See autograd.rs for the other side.

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

namespace {

// Fills `answers` (one for each input, null for none; ours from then on). False: it failed.
using Backward = bool (*)(void* state, const at::Tensor* gradient, const bool* wanted, at::Tensor** answers);
using Release = void (*)(void* state);

class Ours final : public torch::autograd::Node {
 public:
  Ours(void* state, Backward backward, Release release) : state_(state), backward_(backward), release_(release) {}

  ~Ours() override {
    release_variables();
  }

  std::string name() const override {
    return "Ours";
  }

  void release_variables() override {
    if (state_ != nullptr) {
      release_(std::exchange(state_, nullptr));
    }
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const size_t count = num_outputs();
    torch::autograd::variable_list found(count);
    if (gradients.empty() || !gradients[0].defined()) {
      return found;
    }
    if (state_ == nullptr) {
      throw std::runtime_error("a second backward pass through values that are gone");
    }
    std::unique_ptr<bool[]> wanted(new bool[count]);
    for (size_t at = 0; at < count; ++at) {
      wanted[at] = task_should_compute_output(at);
    }
    std::vector<at::Tensor*> answers(count, nullptr);
    const bool done = backward_(state_, &gradients[0], wanted.get(), answers.data());
    for (size_t at = 0; at < count; ++at) {
      if (answers[at] != nullptr) {
        found[at] = std::move(*answers[at]);
        delete answers[at];
      }
    }
    if (!done) {
      throw std::runtime_error("a backward pass of our own failed");
    }
    return found;
  }

 private:
  void* state_;
  Backward backward_;
  Release release_;
};

}  // namespace

extern "C" bool network_records() {
  return at::GradMode::is_enabled();
}

// `value`, with a history: it was computed from `inputs`. Takes over `state`. Null: it failed.
extern "C" at::Tensor* network_attach(
    const at::Tensor* value,
    const at::Tensor* const* inputs,
    size_t count,
    void* state,
    Backward backward,
    Release release) noexcept {
  try {
    std::shared_ptr<Ours> node(new Ours(state, backward, release), torch::autograd::deleteNode);
    torch::autograd::variable_list all;
    all.reserve(count);
    for (size_t at = 0; at < count; ++at) {
      all.push_back(*inputs[at]);
    }
    node->set_next_edges(torch::autograd::collect_next_edges(all));
    // another handle on the same numbers: what the node keeps must not lead back to the node
    at::Tensor result = value->variable_data();
    torch::autograd::set_history(result, node);
    return new at::Tensor(std::move(result));
  } catch (...) {
    return nullptr;
  }
}
