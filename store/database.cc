#include "store/database.h"

#include <string_view>
#include <utility>

#include "base/text.h"

namespace sobre {
namespace {

bool IsText(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8SequenceLength(text);
    if (length == 0 || text.front() == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

Status CheckParameters(std::span<const SqlValue> parameters) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto* text = std::get_if<std::string>(&parameters[i]);
    if (text != nullptr && !IsText(*text))
      return Status::Invalid(
          "the text for $" + std::to_string(i + 1) +
          " is not UTF-8 or holds a NUL byte, and cannot be stored: " + Printable(*text));
  }
  return {};
}

Status Database::Run(const std::string& sql, std::span<const SqlValue> parameters) {
  return Execute(sql, parameters, [](const SqlRow&) { return Status(); });
}

Result<std::vector<SqlRow>> Database::Rows(const std::string& sql,
                                           std::span<const SqlValue> parameters) {
  std::vector<SqlRow> rows;
  if (Status status = Execute(sql, parameters,
                              [&](const SqlRow& row) {
                                rows.push_back(row);
                                return Status();
                              });
      !status.ok())
    return status;
  return rows;
}

Status Database::Transact(const std::function<Status()>& work) {
  if (in_transaction_) return Status::Invalid(Name() + ": a transaction within a transaction");
  if (Status status = Begin(); !status.ok()) return status;
  in_transaction_ = true;
  Status status = work();
  if (status.ok()) status = Commit();
  if (!status.ok()) Rollback();
  in_transaction_ = false;
  return status;
}

std::int64_t Integer(const SqlValue& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer == nullptr ? 0 : *integer;
}

double Number(const SqlValue& value) {
  const auto* number = std::get_if<double>(&value);
  return number == nullptr ? static_cast<double>(Integer(value)) : *number;
}

std::string Text(const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? std::string() : *text;
}

std::string Bytes(const SqlValue& value) {
  const auto* blob = std::get_if<Blob>(&value);
  return blob == nullptr ? std::string() : blob->bytes;
}

}  // namespace sobre
