#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Text without a locale: numbers are parsed and printed the same way wherever the program runs.
// Pure functions, safe from any thread.
namespace sobre {

// A finite decimal number that takes up the whole of `text` ("0.5", "1e-3"); no value for anything
// else, so "0,5", "1e400", "NaN", "" and "3 " are refused.
std::optional<double> ParseNumber(std::string_view text);
// A decimal integer that takes up the whole of `text` and fits.
std::optional<std::int64_t> ParseInteger(std::string_view text);

// The shortest text that reads back as the same double; "NaN", "Infinity" and "-Infinity"
// otherwise.
std::string FormatNumber(double value);
// `value` rounded to `digits` significant digits without an exponent, for people: "0.0182", "1234".
std::string FormatSignificant(double value, int digits);

std::string_view Trim(std::string_view text);
// The parts between separators, each as it stands; one empty part for an empty text.
std::vector<std::string_view> Split(std::string_view text, char separator);
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);
// With all but letters, digits, `-`, `_` and `.` as %XX: fit for a URL's query or a form.
std::string PercentEncode(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
// The one of `known` that is spelt most like `word`, or nothing when none comes near.
std::optional<std::string_view> NearestName(std::string_view word,
                                            std::span<const std::string_view> known);
// "; did you mean 'x'?" or nothing: ready to be appended to an error.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> known);
// Bytes of the well-formed UTF-8 sequence that starts the non-empty `text`, or 0 where it is
// broken.
std::size_t Utf8SequenceLength(std::string_view text);
// Whether a well-formed sequence is one that is acted upon instead of shown: control characters,
// line and paragraph separators, marks that turn the direction of writing, and what cannot be seen.
bool IsControl(std::string_view sequence);
// Whether somebody else's text is well-formed UTF-8 without any of these.
bool IsPrintable(std::string_view text);
// Fit for the text or a quoted attribute of an HTML page.
std::string EscapeHtml(std::string_view text);
// The first `limit` bytes or so of somebody else's text, then "..." where there are more, with
// control characters and broken UTF-8 replaced: fit for a log line, an error or a terminal's cell.
std::string Printable(std::string_view text, std::size_t limit = 120);
// All of a text of several lines, which may have somebody else's in it: fit for a terminal.
std::string PrintableLines(std::string_view text);

}  // namespace sobre
