#include "base/text_table.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace sobre {
namespace {

// In characters: continuation bytes take no column.
std::size_t WidthOf(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

void TextTable::Add(std::vector<std::string> cells) {
  constexpr std::size_t kLongest = 300;
  for (std::string& cell : cells)
    if (cell.size() > kLongest || !IsPrintable(cell)) cell = Printable(cell, kLongest);
  rows_.push_back(std::move(cells));
}

std::string TextTable::Text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - WidthOf(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string FigureText(bool known, double value) {
  return known ? FormatSignificant(value, 3) : "?";
}

std::string ChangeText(std::optional<double> value, std::optional<double> base) {
  if (!value || !base || !(*base > 0)) return "";
  const double percent = 100 * (*value / *base - 1);
  if (!std::isfinite(percent)) return "";
  const double size = std::abs(percent);
  constexpr double kNone = 0.05;
  if (size < kNone) return "0 %";
  return (percent > 0 ? "+" : "−") + FormatSignificant(size, size < 10 ? 2 : 3) + " %";
}

}  // namespace sobre
