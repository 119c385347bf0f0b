#include "audit/digest.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <new>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <zlib.h>

#include "base/file.h"

namespace sobre {
namespace {

constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kSignatureBytes = 64;

const unsigned char* Raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Raw(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

std::optional<int> DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

}  // namespace

// Gathers small pieces: each call of the library costs more than hashing some bytes.
struct Sha256Stream::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
  std::array<char, 4096> gathered;
  std::size_t size = 0;

  void Flush() {
    EVP_DigestUpdate(context.get(), gathered.data(), size);
    size = 0;
  }
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr);
}
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Add(std::string_view bytes) {
  State& state = *state_;
  if (bytes.size() > state.gathered.size() - state.size) state.Flush();
  if (bytes.size() > state.gathered.size()) {
    EVP_DigestUpdate(state.context.get(), bytes.data(), bytes.size());
    return;
  }
  std::memcpy(state.gathered.data() + state.size, bytes.data(), bytes.size());
  state.size += bytes.size();
}

void Sha256Stream::Add(std::uint64_t number) {
  std::array<char, 8> bytes{};
  for (char& byte : bytes) {
    byte = static_cast<char>(number & 0xff);
    number >>= 8;
  }
  Add(std::string_view(bytes.data(), bytes.size()));
}

void Sha256Stream::AddText(std::string_view text) {
  Add(static_cast<std::uint64_t>(text.size()));
  Add(text);
}

std::string Sha256Stream::Finish() {
  std::string hash(kHashBytes, '\0');
  state_->Flush();
  EVP_DigestFinal_ex(state_->context.get(), Raw(hash), nullptr);
  return hash;
}

std::string Sha256(std::string_view bytes) {
  Sha256Stream stream;
  stream.Add(bytes);
  return stream.Finish();
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  digits.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    digits += kDigits[byte >> 4];
    digits += kDigits[byte & 15];
  }
  return digits;
}

Result<std::string> FromHex(std::string_view digits) {
  std::string bytes;
  if (digits.size() % 2 != 0) return Status::Invalid("an odd number of hexadecimal digits");
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const std::optional<int> high = DigitOf(digits[i]);
    const std::optional<int> low = DigitOf(digits[i + 1]);
    if (!high || !low) return Status::Invalid("expected hexadecimal digits in lower case");
    bytes += static_cast<char>(*high * 16 + *low);
  }
  return bytes;
}

std::string Compress(std::string_view bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  // There is room for whatever comes out: what it can lack is memory of its own.
  if (compress2(Raw(out), &size, Raw(bytes), bytes.size(), Z_DEFAULT_COMPRESSION) != Z_OK)
    throw std::bad_alloc();
  out.resize(size);
  return out;
}

Result<std::string> Decompress(std::string_view bytes, std::size_t most) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return Status::Invalid("cannot decompress");
  stream.next_in = const_cast<Bytef*>(Raw(bytes));  // NOLINT: zlib does not write there
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::array<char, 1 << 16> piece{};
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
    if (out.size() > most) result = Z_MEM_ERROR;
  }
  const bool all_read = stream.avail_in == 0;
  inflateEnd(&stream);
  if (result != Z_STREAM_END || !all_read) return Status::Invalid("its bytes do not decompress");
  return out;
}

Result<SigningKey> SigningKey::Load(const std::string& path) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const std::unique_ptr<BIO, int (*)(BIO*)> source(
      BIO_new_mem_buf(text->data(), static_cast<int>(text->size())), BIO_free);
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(source.get(), nullptr, nullptr, nullptr),
                                FreeKey());
  std::string public_key(kHashBytes, '\0');
  std::size_t size = public_key.size();
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key.get(), Raw(public_key), &size) != 1 ||
      size != public_key.size()) {
    return Status::Invalid(path +
                           ": expected a private key as `openssl genpkey -algorithm ed25519` "
                           "writes it");
  }
  return SigningKey(std::move(key), std::move(public_key));
}

std::string SigningKey::Sign(std::string_view message) const {
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  std::size_t size = signature.size();
  auto* key = static_cast<EVP_PKEY*>(key_.get());
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), Raw(signature), &size, Raw(message), message.size()) != 1)
    return {};
  return signature;
}

bool IsSignedBy(std::string_view public_key, std::string_view message, std::string_view signature) {
  const std::unique_ptr<EVP_PKEY, FreeKey> key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Raw(public_key), public_key.size()));
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  return key && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), Raw(signature), signature.size(), Raw(message),
                          message.size()) == 1;
}

}  // namespace sobre
