#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

// Hashes, signatures and compression of what is recorded. Thread-safe.
namespace sobre {

// 32 bytes.
std::string Sha256(std::string_view bytes);

// The same, piece by piece. For one thread.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Add(std::string_view bytes);
  // Its 8 bytes, lowest first, on any machine.
  void Add(std::uint64_t number);
  // With its end, so that no two lists of texts are the same bytes.
  void AddText(std::string_view text);
  [[nodiscard]] std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Lower-case hexadecimal digits, and back; kInvalid for anything else.
std::string Hex(std::string_view bytes);
Result<std::string> FromHex(std::string_view digits);

// zlib's format.
std::string Compress(std::string_view bytes);
// kInvalid for what no compression gave, and for what would be larger than `most` bytes.
Result<std::string> Decompress(std::string_view bytes, std::size_t most = std::size_t{1} << 30);

// An Ed25519 key pair.
class SigningKey {
 public:
  // PEM, as `openssl genpkey -algorithm ed25519` writes it. An error names the file.
  static Result<SigningKey> Load(const std::string& path);
  [[nodiscard]] std::string Sign(std::string_view message) const;              // 64 bytes
  [[nodiscard]] const std::string& public_key() const { return public_key_; }  // 32 bytes

 private:
  SigningKey(std::shared_ptr<void> key, std::string public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}
  std::shared_ptr<void> key_;
  std::string public_key_;
};
bool IsSignedBy(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace sobre
