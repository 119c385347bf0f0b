// bench_bare_read SERVER [PAGE]: lists nodes, namespaces and pods as `sobre serve` asks for them,
// each on a connection and a thread of its own, and throws the bytes away. Prints how many bytes
// came, and in how many milliseconds.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <google/protobuf/io/coded_stream.h>

#include "base/text.h"
#include "net/http_client.h"
#include "proto/k8s/objects.pb.h"

namespace {

// All that is needed of a page: the token of the next one, from the page's first bytes.
std::string TokenOf(std::string_view page) {
  constexpr std::size_t kMagic = 4;
  constexpr std::uint32_t kTypeMeta = 1 << 3 | 2;
  if (page.size() < kMagic) return {};
  page.remove_prefix(kMagic);
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(page.data()),
                                            static_cast<int>(page.size()));
  std::uint32_t length = 0;
  if (in.ReadTag() != kTypeMeta || !in.ReadVarint32(&length) || !in.Skip(static_cast<int>(length)))
    return {};
  // The envelope's bytes begin, and in them the list's metadata.
  in.ReadTag();
  std::string meta;
  if (!in.ReadVarint32(&length) || in.ReadTag() == 0 || !in.ReadVarint32(&length) ||
      !in.ReadString(&meta, static_cast<int>(length)))
    return {};
  sobre::k8s::wire::ListMeta list;
  return list.ParseFromString(meta) ? list.continue_() : std::string();
}

bool ReadAll(const std::string& url, const std::string& page_size,
             std::atomic<std::size_t>& total) {
  constexpr std::size_t kEnough = 4096;
  const std::atomic<bool> stop = false;
  sobre::HttpClient client;
  std::string token;
  do {
    sobre::HttpCall call;
    call.headers = {"Accept: application/vnd.kubernetes.protobuf", "Accept-Encoding: identity"};
    call.timeout = std::chrono::seconds(0);
    call.url = url + "limit=" + page_size;
    if (!token.empty()) call.url += "&continue=" + sobre::PercentEncode(token);
    std::string head;
    const sobre::Result<sobre::HttpReply> reply =
        client.Stream(call, std::chrono::seconds(60), stop, [&](std::string_view bytes) {
          total += bytes.size();
          if (head.size() < kEnough) head += bytes.substr(0, kEnough - head.size());
          return true;
        });
    if (!reply.ok() || reply->status != 200) {
      std::fprintf(
          stderr, "%s: %s\n", call.url.c_str(),
          reply.ok() ? std::to_string(reply->status).c_str() : reply.status().message().c_str());
      return false;
    }
    token = TokenOf(head);
  } while (!token.empty());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 2;
  const std::string server = argv[1];
  const std::string page_size = argc == 3 ? argv[2] : "500";
  constexpr std::array<const char*, 3> kLists = {
      "/api/v1/nodes?", "/api/v1/namespaces?",
      "/api/v1/pods?fieldSelector=status.phase!%3DSucceeded%2Cstatus.phase!%3DFailed&"};
  const auto start = std::chrono::steady_clock::now();
  std::atomic<std::size_t> total = 0;
  std::atomic<bool> failed = false;
  std::vector<std::thread> readers;
  readers.reserve(kLists.size());
  for (const char* list : kLists)
    readers.emplace_back([&, list] {
      if (!ReadAll(server + list, page_size, total)) failed = true;
    });
  for (std::thread& reader : readers) reader.join();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (failed) return 1;
  std::printf("%zu %.1f\n", total.load(), took.count());
  return 0;
}
