#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sobre {

// Rows of columns, each as wide as its widest cell, for a terminal. Not thread-safe.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> heads) { rows_.push_back(std::move(heads)); }
  // As many cells as there are heads; a stranger's text is made printable.
  void Add(std::vector<std::string> cells);
  // A line each, two spaces between columns, none at the end.
  [[nodiscard]] std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// `value` with three significant digits, or "?".
std::string FigureText(bool known, double value);
// By how much `value` is more than `base`: "−12.3 %", "+4.5 %", "0 %" for less than a twentieth of
// a per cent; empty where that cannot be said.
std::string ChangeText(std::optional<double> value, std::optional<double> base);

}  // namespace sobre
