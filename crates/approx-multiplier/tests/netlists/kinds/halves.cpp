#include <array>
#include <cstdint>
#include <vector>

namespace parts {
template <typename Number>
class Half {
public:
    explicit Half(Number value) : value(value) {}
    // Towards zero.
    Number operator()() const { return value / 2; }

private:
    Number value;
};
}  // namespace parts

// Half of both operands, four times.
static int product_of(const std::vector<int>& factors) {
    auto product = 1;
    for (const auto factor : factors) product *= factor;
    return product;
}

std::int32_t halves(std::int8_t a, std::int8_t b) {
    const std::array<parts::Half<int>, 2> both = {parts::Half<int>(a), parts::Half<int>(b)};
    return product_of({both[0](), both[1](), 4});
}
