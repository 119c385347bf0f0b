#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

// Certificates for tests, made on the spot.
namespace sobre {

struct FreeTestObject {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using TestX509 = std::unique_ptr<X509, FreeTestObject>;
using TestKey = std::unique_ptr<EVP_PKEY, FreeTestObject>;
using TestBio = std::unique_ptr<BIO, FreeTestObject>;

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

inline TestBio ReadTestText(const std::string& text) {
  return TestBio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

inline std::vector<TestX509> ReadTestCertificates(const std::string& pem) {
  const TestBio bio = ReadTestText(pem);
  std::vector<TestX509> found;
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    found.emplace_back(next);
  return found;
}

inline TestKey ReadTestKey(const std::string& pem) {
  return TestKey(PEM_read_bio_PrivateKey(ReadTestText(pem).get(), nullptr, nullptr, nullptr));
}

inline std::string CommonNameOf(const X509* certificate) {
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

// A certificate authority, which signs whatever it is told.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name) : key_(EVP_EC_gen("P-256")) {
    own_ = Sign(name, "critical,CA:TRUE", "", key_.get(), key_.get(), nullptr);
  }
  [[nodiscard]] std::string pem() const { return PemOf(own_.get()); }
  // `names` as in openssl.cnf: "DNS:a,IP:127.0.0.1"; may be empty.
  [[nodiscard]] TestCertificate Issue(const std::string& common_name,
                                      const std::string& names = "") const {
    const TestKey key(EVP_EC_gen("P-256"));
    const TestX509 made = Sign(common_name, "CA:FALSE", names, key.get(), key_.get(), own_.get());
    const TestBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {PemOf(made.get()), TextOf(bio.get())};
  }

 private:
  static std::string TextOf(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
  }
  static std::string PemOf(X509* certificate) {
    const TestBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return TextOf(bio.get());
  }
  static void Extend(X509* certificate, int id, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  static TestX509 Sign(const std::string& common_name, const std::string& constraints,
                       const std::string& names, EVP_PKEY* key, EVP_PKEY* signer,
                       const X509* issuer) {
    static long serial = 1;
    TestX509 made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 24 * 3600);
    X509_set_pubkey(made.get(), key);
    X509_NAME* const subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(made.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
    Extend(made.get(), NID_basic_constraints, constraints);
    if (!names.empty()) Extend(made.get(), NID_subject_alt_name, names);
    X509_sign(made.get(), signer, EVP_sha256());
    return made;
  }

  TestKey key_;
  TestX509 own_;
};

}  // namespace sobre
