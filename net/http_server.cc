#include "net/http_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <httplib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <zlib.h>

#include "base/background.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/text.h"
#include "net/peer_places.h"
#include "net/transport.h"

namespace sobre {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxHeaderBytes = 64U << 10;
constexpr std::size_t kReadBufferBytes = 64U << 10;
constexpr std::size_t kCoalesceBytes = 16U << 10;
// Unfinished TLS handshakes, and requests for reserved paths, beside the connections. An address
// has half of them at most.
constexpr int kHandshakes = 32;
constexpr int kReserved = 16;
constexpr Duration kReservedTimeout = std::chrono::seconds(2);
// What is asked for there is answered sooner.
constexpr Duration kReservedRest = std::chrono::milliseconds(250);
// A client whose first message was answered needs so long at most for the rest of its handshake.
constexpr Duration kHandshakeRest = std::chrono::milliseconds(250);

std::string BusyAnswer(const HttpHeaders& headers) {
  std::string answer =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n";
  for (const auto& [name, value] : headers)
    answer.append(name).append(": ").append(value).append("\r\n");
  return answer + "Content-Length: 0\r\n\r\n";
}
// The statuses with which the server itself refuses a request.
constexpr std::array kRefusals = {400, 404, 405, 411, 413, 415, 421, 500, 503};
constexpr std::string_view kNoPlace = "all connections are taken: try again";
constexpr std::string_view kTooMuch =
    "too much is being sent to and fro at the moment: try again, with a smaller request perhaps";
constexpr std::string_view kNotTls =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
constexpr int kAcceptPause = 10;      // ms
constexpr char kTlsHandshake = 0x16;  // the first byte of a TLS client

// One client's connection as cpp-httplib's stream: buffered both ways, with a deadline by request.
class Connection final : public httplib::Stream {
 public:
  Connection(Transport& transport, const PeerAddress& peer, Duration timeout)
      : transport_(transport), peer_(peer), timeout_(timeout), in_(kReadBufferBytes) {}

  void BeginRequest() {
    deadline_ = Clock::now() + timeout_;
    header_bytes_left_ = kMaxHeaderBytes;
    in_header_ = true;
    close_after_ = false;
    header_.clear();
  }
  // Of the request, as it came: the library decodes and leaves out what it likes.
  [[nodiscard]] std::string_view header() const { return header_; }
  [[nodiscard]] const PeerAddress& peer() const { return peer_; }
  // A connection over the bound: it has a place for one request of a reserved path.
  void SetReserved(PeerPlaces::Place place) { reserved_ = std::move(place); }
  [[nodiscard]] const PeerPlaces::Place& reserved() const { return reserved_; }
  // Whether this is the first time that it is called.
  [[nodiscard]] bool BeginTurningAway() { return !std::exchange(turned_away_, true); }
  // An answer was made, whatever it says.
  void SetAnswered() { answered_ = true; }
  [[nodiscard]] bool answered() const { return answered_; }
  // What it takes of HttpServer::Options::max_large_bytes.
  std::size_t large_bytes = 0;
  // Another part of the answer: it has the whole time again.
  void BeginPart() { deadline_ = Clock::now() + timeout_; }
  [[nodiscard]] bool IsPeerGone() const { return transport_.IsPeerGone(); }
  // What the client said before the library could act on it.
  void SetAcceptsGzip(bool accepts) { accepts_gzip_ = accepts; }
  [[nodiscard]] bool accepts_gzip() const { return accepts_gzip_; }
  // From here on the body's own limit counts.
  void EndHeader() { in_header_ = false; }
  void CloseAfterAnswer() { close_after_ = true; }
  [[nodiscard]] bool close_after() const { return close_after_; }
  // An answer in parts has begun, or has its end.
  void SetPartsOpen(bool open) { parts_open_ = open; }
  // The library leaves an answer without its end where it is stopped between two parts.
  void EndParts() {
    if (!std::exchange(parts_open_, false)) return;
    constexpr std::string_view kEnd = "0\r\n\r\n";
    write(kEnd.data(), kEnd.size());
  }
  [[nodiscard]] bool has_buffered() const { return in_begin_ < in_end_; }
  [[nodiscard]] bool asks_for_tls() const {
    return has_buffered() && in_[in_begin_] == kTlsHandshake;
  }

  // Takes what has come into the empty buffer.
  Transport::Attempt Fill() {
    const Transport::Attempt got = transport_.Read(in_.data(), in_.size());
    in_begin_ = 0;
    in_end_ = static_cast<std::size_t>(std::max<ssize_t>(got.bytes, 0));
    return got;
  }

  [[nodiscard]] bool has_pending() const { return transport_.has_pending(); }
  bool is_readable() const override {
    return has_buffered() || has_pending() || WaitFor(transport_.fd(), POLLIN, deadline_);
  }
  bool is_writable() const override { return WaitFor(transport_.fd(), POLLOUT, deadline_); }

  ssize_t read(char* out, std::size_t size) override {
    if (in_header_) {
      if (header_bytes_left_ < size) return -1;
      header_bytes_left_ -= size;
    }
    if (!has_buffered()) {
      const ssize_t got = transport_.Receive(in_.data(), in_.size(), deadline_);
      if (got <= 0) return got;
      in_begin_ = 0;
      in_end_ = static_cast<std::size_t>(got);
    }
    const std::size_t taken = std::min(size, in_end_ - in_begin_);
    std::memcpy(out, in_.data() + in_begin_, taken);
    in_begin_ += taken;
    if (in_header_) header_.append(out, taken);
    return static_cast<ssize_t>(taken);
  }

  // Small pieces (the header) wait for the next, so that an answer leaves in one system call.
  ssize_t write(const char* data, std::size_t size) override {
    if (size <= kCoalesceBytes) {
      out_.append(data, size);
      if (out_.size() > kCoalesceBytes && !Flush()) return -1;
      return static_cast<ssize_t>(size);
    }
    return Send({data, size}) ? static_cast<ssize_t>(size) : -1;
  }
  bool Flush() { return Send({}); }

  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    transport_.GetPeer(ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    transport_.GetLocal(ip, port);
  }
  socket_t socket() const override { return transport_.fd(); }

 private:
  // What waits in out_, then `data`.
  bool Send(std::string_view data) {
    if (!transport_.Send(out_, data, deadline_)) return false;
    out_.clear();
    return true;
  }

  Transport& transport_;
  const PeerAddress peer_;
  Duration timeout_;
  PeerPlaces::Place reserved_;  // null: it is no such connection
  bool turned_away_ = false;
  bool answered_ = false;
  std::vector<char> in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::string out_;
  std::string header_;
  Clock::time_point deadline_;
  std::size_t header_bytes_left_ = 0;
  bool in_header_ = false;
  bool close_after_ = false;
  bool parts_open_ = false;
  bool accepts_gzip_ = false;
};

// The connection that this thread serves; set around each request, for the handlers below.
thread_local Connection* current_connection = nullptr;

// A thread a connection, made as they are needed, never more than the bound.
class ConnectionThreads {
 public:
  ConnectionThreads(std::string name, int most, bool background)
      : limit_(static_cast<std::size_t>(most)), name_(std::move(name)), background_(background) {}

  // False: there is none, and none can be made. A connection whose place was another's waits for
  // the thread of that one, which is about to end.
  bool TryToServe(const std::function<void()>& connection) {
    const MutexLock lock(mutex_);
    if (idle_ <= tasks_.size() && threads_.size() < limit_) {
      try {
        threads_.emplace_back([this] { Work(); });
      } catch (const std::system_error& error) {
        // Of the system, or of the container: it passes.
        Log(LogLevel::kWarning, "a thread cannot be made: a connection is turned away",
            {{"server", name_}, {"error", error.what()}});
        return false;
      }
    }
    tasks_.push_back(connection);
    wake_.NotifyOne();
    return true;
  }

  // Waits until each has been served.
  void Shutdown() {
    std::vector<std::thread> threads;
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      threads.swap(threads_);
    }
    wake_.NotifyAll();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void Work() {
    NameThread(name_.c_str());
    if (background_) {
      StepBack();
    } else {
      AnswerSoon();
    }
    MutexLock lock(mutex_);
    while (true) {
      ++idle_;
      wake_.Wait(lock, [this]() SOBRE_REQUIRES(mutex_) { return stopping_ || !tasks_.empty(); });
      --idle_;
      if (tasks_.empty()) return;
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.Unlock();
      task();
      task = nullptr;  // which closes the connection
      lock.Lock();
    }
  }

  const std::size_t limit_;
  const std::string name_;
  const bool background_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::deque<std::function<void()>> tasks_ SOBRE_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ SOBRE_GUARDED_BY(mutex_);
  std::size_t idle_ SOBRE_GUARDED_BY(mutex_) = 0;
  bool stopping_ SOBRE_GUARDED_BY(mutex_) = false;
};

bool IsToken(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// Calls `take(name, value)` for each field of a header that is not ambiguous.
template <class Take>
void ForEachField(std::string_view header, const Take& take) {
  header.remove_prefix(std::min(header.find('\n'), header.size() - 1) + 1);
  for (std::size_t end = 0; (end = header.find('\n')) != std::string_view::npos;
       header.remove_prefix(end + 1)) {
    const std::string_view line = header.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) take(line.substr(0, colon), Trim(line.substr(colon + 1)));
  }
}

// The first field of that name.
std::optional<std::string_view> FieldOf(std::string_view header, std::string_view name) {
  std::optional<std::string_view> found;
  ForEachField(header, [&](std::string_view field, std::string_view value) {
    if (!found && EqualsIgnoreCase(field, name)) found = value;
  });
  return found;
}

// A field that one may state once, and somebody states again; empty: none.
std::string_view StatedTwice(std::string_view header) {
  static constexpr std::array<std::string_view, 3> kOnce = {"Host", "Authorization",
                                                            "Content-Type"};
  std::array<int, kOnce.size()> counts{};
  ForEachField(header, [&](std::string_view field, std::string_view) {
    for (std::size_t i = 0; i < kOnce.size(); ++i) counts[i] += EqualsIgnoreCase(field, kOnce[i]);
  });
  for (std::size_t i = 0; i < kOnce.size(); ++i)
    if (counts[i] > 1) return kOnce[i];
  return {};
}

// "METHOD TARGET HTTP/1.1", with one space each, and no character in it that could be read as one.
bool IsRequestLine(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !IsToken(line.substr(0, first)))
    return false;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  return !target.empty() && (version == "HTTP/1.1" || version == "HTTP/1.0") &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool IsAddress(std::string_view host) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v6 = host.starts_with('[');
  if (v6 && !host.ends_with(']')) return false;
  if (v6) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.size() >= text.size()) return false;
  host.copy(text.data(), host.size());
  in6_addr address{};
  return ::inet_pton(v6 ? AF_INET6 : AF_INET, text.data(), &address) == 1;
}

// Of "name:port"; nothing where it is none.
std::optional<std::string_view> NameOf(std::string_view host) {
  const std::size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  std::string_view name = host.substr(0, colon);
  if (colon != std::string_view::npos &&
      host.find_first_not_of("0123456789", colon + 1) != std::string_view::npos)
    return std::nullopt;
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
  return !name.empty() && (plain || IsAddress(name)) ? std::optional(name) : std::nullopt;
}

std::string NameOfMachine() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

// "application/json; charset=utf-8" is of the type "application/json".
bool IsOfType(std::string_view stated, std::string_view type) {
  if (EqualsIgnoreCase(stated, type)) return true;
  const std::vector<std::string_view> parts = Split(stated, ';');
  if (!EqualsIgnoreCase(Trim(parts.front()), type)) return false;
  return std::all_of(parts.begin() + 1, parts.end(), [](std::string_view part) {
    part = Trim(part);
    const std::size_t equals = part.find('=');
    if (!EqualsIgnoreCase(Trim(part.substr(0, equals)), "charset")) return true;
    std::string_view charset =
        equals == std::string_view::npos ? std::string_view() : Trim(part.substr(equals + 1));
    if (charset.size() > 1 && charset.starts_with('"') && charset.ends_with('"'))
      charset = charset.substr(1, charset.size() - 2);
    return EqualsIgnoreCase(charset, "utf-8");
  });
}

// Whether somebody between the client and us may read a header otherwise than the library does, and
// so see the request end elsewhere: a line that is folded, ends without a carriage return or holds
// a zero byte, a name with a space, a length that is more than digits.
bool IsAmbiguous(std::string_view header) {
  constexpr std::string_view kEnd = "\r\n";
  for (bool first = true;; first = false) {
    const std::size_t end = header.find('\n');
    if (end == std::string_view::npos) return true;
    std::string_view line = header.substr(0, end + 1);
    if (!line.ends_with(kEnd)) return true;
    line.remove_suffix(kEnd.size());
    if (line.find_first_of(std::string_view("\0\r", 2)) != std::string_view::npos) return true;
    header.remove_prefix(end + 1);
    if (first) continue;
    if (line.empty()) return false;
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    if (colon == line.size() || !IsToken(name)) return true;
    if (!EqualsIgnoreCase(name, "Content-Length")) continue;
    const std::string_view length = Trim(line.substr(colon + 1));
    if (length.empty() || length.find_first_not_of("0123456789") != std::string_view::npos)
      return true;
  }
}

// Shorter than a packet, it would arrive no sooner.
constexpr std::size_t kCompressFrom = 1400;
// Beyond this, speed matters more than the last per cent.
constexpr std::size_t kCompressQuickly = 256U << 10;

bool AcceptsGzip(std::string_view accepted) {
  for (const std::string_view coding : Split(accepted, ',')) {
    const std::vector<std::string_view> parts = Split(coding, ';');
    if (!EqualsIgnoreCase(Trim(parts.front()), "gzip")) continue;
    const std::string_view quality = parts.size() > 1 ? Trim(parts[1]) : std::string_view();
    return !quality.starts_with("q=") || ParseNumber(quality.substr(2)).value_or(1) > 0;
  }
  return false;
}

bool IsText(std::string_view content_type) {
  return content_type.starts_with("text/") || content_type.starts_with("application/json") ||
         content_type.starts_with("image/svg");
}

// Nothing where zlib fails.
std::optional<std::string> Gzipped(const std::string& text) {
  constexpr int kGzipWindow = 15 + 16;
  z_stream stream{};
  const int level = text.size() > kCompressQuickly ? 1 : 6;
  if (::deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return std::nullopt;
  std::string out(::deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return result == Z_STREAM_END ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace

std::optional<std::string> HttpRequest::Parameter(std::string_view name) const {
  if (parsed == nullptr) return std::nullopt;
  const auto found = parsed->params.find(std::string(name));
  return found == parsed->params.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> HttpRequest::ParameterNames() const {
  std::vector<std::string> names;
  if (parsed == nullptr) return names;
  for (const auto& [name, value] : parsed->params) names.push_back(name);
  return names;
}

std::optional<std::string> HttpRequest::Header(std::string_view name) const {
  const std::optional<std::string_view> value = FieldOf(head, name);
  return value ? std::optional(std::string(*value)) : std::nullopt;
}

void HttpResponse::Fail(int error_status, std::string_view message) {
  status = error_status;
  next_part = nullptr;
  content_type = "application/json; charset=utf-8";
  body.clear();
  JsonWriter(body).BeginObject().Key("error").Value(message).EndObject();
  body += '\n';
}

// cpp-httplib parses requests and formats answers; the connection's life is ours: the library's own
// loop sleeps between requests, cannot be told to stop while a client idles, and leaves an unread
// body to be taken for the next request.
class HttpServer::Impl final : public httplib::Server {
 public:
  explicit Impl(HttpServer::Options options)
      : options_(std::move(options)),
        busy_(BusyAnswer(options_.headers)),
        machine_(NameOfMachine()),
        stop_event_(::eventfd(0, EFD_CLOEXEC)),
        connections_({options_.max_connections,
                      options_.max_by_peer > 0 ? options_.max_by_peer : options_.max_connections}),
        reserved_({kReserved, kReserved / 2, PeerPlaces::WhenFull::kReplace, kReservedRest}),
        handshakes_({kHandshakes, kHandshakes / 2, PeerPlaces::WhenFull::kReplace, kHandshakeRest}),
        streams_({options_.max_streams, options_.max_streams, PeerPlaces::WhenFull::kShare}) {
    set_payload_max_length(options_.max_body_bytes);
    set_tcp_nodelay(true);
    set_keep_alive_timeout(options_.idle_timeout.count() / 1000);
    set_keep_alive_max_count(std::size_t{1} << 40);
    set_address_family(AF_UNSPEC);
    // One listener an address: a second program on the same port is an error, not a partner.
    set_socket_options([](socket_t fd) {
      const int yes = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (!Admit(request, response)) return HandlerResponse::Handled;
      if (request.method == "POST") return HandlerResponse::Unhandled;
      // Here, and not by the library's routes: these are regular expressions, which recurse for
      // each character of a path.
      Serve(*Find("GET", request.path), request, {}, response);
      if (!TakeAnswer(response) && !TakeAlone(response)) RefuseLarge(response);
      return HandlerResponse::Handled;
    });
    Post(".*",
         [this](const httplib::Request& request, httplib::Response& response,
                const httplib::ContentReader& reader) { ReadAndServe(request, response, reader); });
    set_exception_handler([this](const httplib::Request& request, httplib::Response& response,
                                 std::exception_ptr error) {
      std::string what = "unknown";
      try {
        std::rethrow_exception(std::move(error));
      } catch (const std::exception& e) {
        what = e.what();
      } catch (...) {
      }
      Log(LogLevel::kError, "request handler failed", {{"path", request.path}, {"error", what}});
      Refuse(500, "internal error; it is in the log", response);
    });
    set_error_handler([this](const httplib::Request&, httplib::Response& response) {
      // The library's own refusals, such as a request line that cannot be read; ours have a body.
      if (!response.body.empty()) return;
      current_connection->SetAnswered();
      current_connection->CloseAfterAnswer();
      response.set_header("Connection", "close");
      const PeerPlaces::Place& place = current_connection->reserved();
      if (place != nullptr) NoteTurnedAway(*current_connection);
      if (place != nullptr && reserved_.IsCut(place)) {
        RefuseBusy(kNoPlace, response);
      } else {
        Refuse(response.status, "bad request", response);
      }
    });
  }

  ~Impl() override {
    Shutdown();
    ::close(stop_event_);
  }

  void Route(std::string_view method, std::string path, HttpServer::Handler handler) {
    routes_[std::move(path)].emplace(method, std::move(handler));
  }

  Status Begin() {
    const std::size_t colon = options_.address.rfind(':');
    const auto port = colon == std::string::npos ? std::nullopt
                                                 : ParseInteger(options_.address.substr(colon + 1));
    if (!port || *port < 0 || *port > 65535) {
      return Status::Invalid("listen address '" + Printable(options_.address) +
                             "': expected host:port");
    }
    std::string host = options_.address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
      host = host.substr(1, host.size() - 2);
    if (host.empty()) host = "0.0.0.0";
    port_ = *port == 0                                    ? bind_to_any_port(host)
            : bind_to_port(host, static_cast<int>(*port)) ? static_cast<int>(*port)
                                                          : -1;
    if (port_ < 0) {
      return Status::Unavailable("cannot listen on " + Printable(options_.address) +
                                 ": the port is taken or the address is not this machine's");
    }
    // The library has asked for room for five clients that wait to be taken.
    if (::listen(svr_sock_, SOMAXCONN) != 0 || ::fcntl(svr_sock_, F_SETFL, O_NONBLOCK) != 0)
      return Status::Unavailable("cannot listen on " + Printable(options_.address) + ": " +
                                 std::generic_category().message(errno));
    listener_ = std::thread([this] {
      NameThread((options_.name + "-accept").c_str());
      Accept();
    });
    return Status::Ok();
  }

  [[nodiscard]] int bound_port() const { return port_; }
  [[nodiscard]] const std::string& name() const { return options_.name; }
  [[nodiscard]] HttpServer::Load load() const {
    HttpServer::Load load{connections_.taken(),
                          streams_.taken(),
                          options_.max_connections,
                          accepted_,
                          turned_away_,
                          {}};
    for (std::size_t i = 0; i < kRefusals.size(); ++i) load.refused[kRefusals[i]] = refused_[i];
    return load;
  }
  void BeginDrain() { draining_ = true; }

  void Shutdown() {
    if (!listener_.joinable()) return;
    draining_ = true;
    const std::uint64_t one = 1;
    if (::write(stop_event_, &one, sizeof one) < 0)
      Log(LogLevel::kError, "cannot wake connections");
    listener_.join();
  }

 private:
  using Methods = std::map<std::string, HttpServer::Handler, std::less<>>;

  // Who is connected, and by what; closes the connection.
  class Client {
   public:
    Client(int fd, const PeerAddress& peer, const ServerTls* tls) : fd_(fd), peer_(peer) {
      if (tls == nullptr) {
        transport_ = std::make_unique<PlainTransport>(fd);
      } else {
        auto encrypted = std::make_unique<TlsTransport>(fd, tls->context());
        tls_ = encrypted.get();
        transport_ = std::move(encrypted);
      }
    }
    ~Client() { Close(); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const PeerAddress& peer() const { return peer_; }
    [[nodiscard]] Transport& transport() const { return *transport_; }
    [[nodiscard]] TlsTransport* tls() const { return tls_; }  // null: plain HTTP
    void Close() {
      if (fd_ < 0) return;
      ::shutdown(fd_, SHUT_RDWR);
      ::close(std::exchange(fd_, -1));
    }

   private:
    int fd_;
    const PeerAddress peer_;
    std::unique_ptr<Transport> transport_;
    TlsTransport* tls_ = nullptr;
  };
  using ClientPointer = std::shared_ptr<Client>;

  struct Threads {
    ConnectionThreads connections;
    ConnectionThreads reserved;
    ConnectionThreads handshakes;
  };

  // The library's own loop ends for good where accept() fails for lack of memory or of files in the
  // system, and with it the port.
  void Accept() {
    Threads threads{
        {options_.name, options_.max_connections, options_.background},
        // Few, short and waited for.
        {options_.name + "-probes", kReserved, false},
        {options_.name + "-tls", kHandshakes, options_.background},
    };
    while (true) {
      std::array<pollfd, 2> waiting = {pollfd{svr_sock_, POLLIN, 0},
                                       pollfd{stop_event_, POLLIN, 0}};
      ::poll(waiting.data(), waiting.size(), -1);
      if (waiting[1].revents != 0) break;
      if (waiting[0].revents == 0 || TakeOne(threads)) continue;
      // What was not taken waits in the system.
      ::poll(&waiting[1], 1, kAcceptPause);
    }
    // Who had connected before is still served.
    for (int i = 0; i < SOMAXCONN && TakeOne(threads); ++i) {
    }
    const int listening = svr_sock_.exchange(INVALID_SOCKET);
    ::shutdown(listening, SHUT_RDWR);
    ::close(listening);
    threads.handshakes.Shutdown();
    threads.reserved.Shutdown();
    threads.connections.Shutdown();
  }

  // False where nobody waits, or none can be taken now.
  bool TakeOne(Threads& threads) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const int fd = ::accept4(svr_sock_, reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC);
    if (fd >= 0) {
      ++accepted_;
      Take(threads, std::make_shared<Client>(fd, PeerAddressOf(from), options_.tls.get()));
      return true;
    }
    // The one that waited has left.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      Log(LogLevel::kWarning, "a connection cannot be taken: trying again",
          {{"server", options_.name}, {"error", std::generic_category().message(errno)}});
    return false;
  }

  void Take(Threads& threads, const ClientPointer& client) {
    if (client->tls() != nullptr) {
      const bool begun =
          OnThread(handshakes_, threads.handshakes, client,
                   [this, &threads, client](const PeerPlaces::Place& place) {
                     if (Handshake(*client->tls(), place) && !TryToServe(threads, client)) {
                       TurnAway(*client);
                       client->transport().Linger();
                     }
                   });
      // Within TLS there is nobody yet to tell it.
      if (!begun) NoteTurnedAway(*client);
    } else if (!TryToServe(threads, client) && !TryToServeReserved(threads, client)) {
      TurnAway(*client);
    }
  }

  // False: there is no place, or no thread.
  bool OnThread(PeerPlaces& places, ConnectionThreads& threads, const ClientPointer& client,
                const std::function<void(const PeerPlaces::Place&)>& serve) {
    const PeerPlaces::Place place = places.Take(client->peer(), client->fd());
    if (place == nullptr) return false;
    const bool begun = threads.TryToServe([&places, place, serve] {
      serve(place);
      places.Give(place);
    });
    if (!begun) places.Give(place);
    return begun;
  }

  bool TryToServe(Threads& threads, const ClientPointer& client) {
    return OnThread(
        connections_, threads.connections, client, [this, client](const PeerPlaces::Place&) {
          Connection connection(client->transport(), client->peer(), options_.request_timeout);
          ServeRequests(connection, client->transport());
          if (client->tls() != nullptr) client->transport().EndWriting();
        });
  }

  bool TryToServeReserved(Threads& threads, const ClientPointer& client) {
    if (options_.reserved.empty()) return false;
    return OnThread(reserved_, threads.reserved, client,
                    [this, client](const PeerPlaces::Place& place) {
                      Connection connection(client->transport(), client->peer(), kReservedTimeout);
                      connection.SetReserved(place);
                      ServeRequests(connection, client->transport());
                    });
  }

  void TurnAway(const Client& client) {
    NoteTurnedAway(client);
    client.transport().Send(busy_, {}, Clock::now());
  }
  void NoteTurnedAway(const Client& client) { CountTurnedAway(client.peer()); }
  void NoteTurnedAway(Connection& connection) {
    if (connection.BeginTurningAway()) CountTurnedAway(connection.peer());
  }
  void CountTurnedAway(const PeerAddress& peer) {
    ++turned_away_;
    std::string limit = std::to_string(options_.max_connections);
    if (options_.max_by_peer > 0)
      limit += ", " + std::to_string(options_.max_by_peer) + " of one address";
    Log(LogLevel::kWarning, "a connection was turned away",
        {{"server", options_.name}, {"limit", limit}, {"peer", ToString(peer)}});
  }

  void Refuse(int status, std::string_view message, httplib::Response& response) const {
    if (const auto known = std::find(kRefusals.begin(), kRefusals.end(), status);
        known != kRefusals.end())
      ++refused_[static_cast<std::size_t>(known - kRefusals.begin())];
    Log(status == 413 || status == 421 || status == 503 ? LogLevel::kWarning : LogLevel::kInfo,
        "a request was refused",
        {{"server", options_.name},
         {"status", std::to_string(status)},
         {"reason", message},
         {"peer", ToString(current_connection->peer())}});
    HttpResponse refusal;
    refusal.Fail(status, message);
    SetResponse(std::move(refusal), response);
  }
  // It may pass: the same again, in a moment.
  void RefuseBusy(std::string_view message, httplib::Response& response) const {
    response.set_header("Retry-After", "1");
    Refuse(503, message, response);
  }

  // Whether this server goes by that name (Host).
  [[nodiscard]] bool IsOurs(std::string_view name) const {
    return IsAddress(name) || EqualsIgnoreCase(name, "localhost") ||
           EqualsIgnoreCase(name, machine_) ||
           std::any_of(options_.hosts.begin(), options_.hosts.end(),
                       [name](const std::string& host) { return EqualsIgnoreCase(host, name); });
  }

  // Why the request line or the header is refused whatever is asked for: a status and a sentence.
  // What a client says more than once, or what two readers read differently, is not guessed at; a
  // name that is none of ours was led here by somebody else's DNS (rebinding).
  [[nodiscard]] std::optional<std::pair<int, std::string>> Malformed(
      std::string_view header) const {
    if (IsAmbiguous(header)) {
      return std::pair(400,
                       "a line of the header is folded, ends without a carriage return, has a name "
                       "that is none, or is a Content-Length that is no number");
    }
    const std::string_view line = header.substr(0, header.find('\r'));
    if (!IsRequestLine(line)) {
      return std::pair(400,
                       "the request line is malformed: a method, an address and HTTP/1.1 are "
                       "expected, with one space between each");
    }
    if (const std::string_view twice = StatedTwice(header); !twice.empty())
      return std::pair(400, "the header states " + std::string(twice) + " twice");
    const std::optional<std::string_view> host = FieldOf(header, "Host");
    if (!host) {
      if (line.ends_with("HTTP/1.0")) return std::nullopt;
      return std::pair(400, "the header states no Host");
    }
    const std::optional<std::string_view> name = NameOf(*host);
    if (!name) return std::pair(400, "Host is no host name: " + Printable(*host, 80));
    if (IsOurs(*name)) return std::nullopt;
    return std::pair(421, Printable(*name, 80) +
                              " is not a name of this server: ask by its address, or add the name "
                              "to " +
                              options_.hosts_setting);
  }

  // The path itself, else all below its folder, or the nearest one above.
  [[nodiscard]] auto RouteOf(const std::string& path) const {
    auto route = routes_.find(path);
    std::string folder = path;
    while (route == routes_.end() && !folder.empty()) {
      folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'));
      route = routes_.find(folder + "/*");
    }
    return route;
  }

  const HttpServer::Handler* Find(std::string_view method, const std::string& path) const {
    const auto route = RouteOf(path);
    if (route == routes_.end()) return nullptr;
    const auto handler = route->second.find(method == "HEAD" ? "GET" : method);
    return handler == route->second.end() ? nullptr : &handler->second;
  }

  // False: the answer is a refusal. A body that will not be read costs the connection.
  bool Admit(const httplib::Request& request, httplib::Response& response) {
    Connection& connection = *current_connection;
    connection.EndHeader();
    connection.SetAnswered();
    const std::string_view header = connection.header();
    const std::size_t lengths = request.get_header_value_count("Content-Length");
    const auto malformed = Malformed(header);
    const bool has_body = malformed || request.has_header("Transfer-Encoding") || lengths > 1 ||
                          (lengths == 1 && request.get_header_value("Content-Length") != "0");
    const auto refuse = [&](int status, const std::string& message) {
      Refuse(status, message, response);
      if (has_body || request.method != "GET") {
        connection.CloseAfterAnswer();
        response.set_header("Connection", "close");
      }
      return false;
    };
    if (connection.reserved() != nullptr) {
      if (malformed || has_body || !IsReserved(request.path)) {
        NoteTurnedAway(connection);
        response.set_header("Retry-After", "1");
        return refuse(503, std::string(kNoPlace));
      }
      reserved_.Begin(connection.reserved());
    }
    if (malformed) return refuse(malformed->first, malformed->second);
    const auto route = RouteOf(request.path);
    if (route == routes_.end()) return refuse(404, "no such path: " + Printable(request.path));
    if (Find(request.method, request.path) == nullptr) {
      std::string allowed;
      for (const auto& [method, handler] : route->second)
        allowed += (allowed.empty() ? "" : ", ") + method;
      response.set_header("Allow", allowed);
      return refuse(405, "method " + Printable(request.method, 16) + " is not for " +
                             Printable(request.path) + "; use " + allowed);
    }
    if (request.method != "POST") {
      return has_body ? refuse(400, "a " + Printable(request.method, 16) + " has no body here")
                      : true;
    }
    if (request.has_header("Transfer-Encoding")) {
      return refuse(411, "Transfer-Encoding is not accepted; send Content-Length");
    }
    if (lengths != 1) {
      return refuse(411, "exactly one Content-Length is required");
    }
    const auto length = ParseInteger(request.get_header_value("Content-Length"));
    if (!length || *length < 0) return refuse(400, "Content-Length is no number");
    if (static_cast<std::uint64_t>(*length) > options_.max_body_bytes) {
      return refuse(413, "the body has " + std::to_string(*length) + " bytes; the limit is " +
                             std::to_string(options_.max_body_bytes));
    }
    if (!IsOfType(FieldOf(header, "Content-Type").value_or(""), options_.body_type)) {
      return refuse(415, "Content-Type must be " + options_.body_type + ", in UTF-8");
    }
    if (request.has_header("Content-Encoding"))
      return refuse(415, "Content-Encoding is not accepted");
    return true;
  }

  [[nodiscard]] bool IsReserved(const std::string& path) const {
    return std::find(options_.reserved.begin(), options_.reserved.end(), path) !=
           options_.reserved.end();
  }

  // What a connection holds beyond the small buffers that each may have, until its answer has been
  // sent. False: all of them together would hold too much.
  bool TakeLarge(Connection& connection, std::size_t bytes) const {
    if (bytes == 0) return true;
    if (large_bytes_.fetch_add(bytes) + bytes > options_.max_large_bytes) {
      large_bytes_ -= bytes;
      return false;
    }
    connection.large_bytes += bytes;
    return true;
  }
  void GiveLarge(Connection& connection) const {
    if (connection.large_bytes > 0) large_bytes_ -= std::exchange(connection.large_bytes, 0);
  }

  void ReadAndServe(const httplib::Request& request, httplib::Response& response,
                    const httplib::ContentReader& reader) const {
    // Kept between the requests of a thread.
    thread_local std::string body;
    const struct Kept {
      ~Kept() { GiveBack(); }
      static void GiveBack() {
        if (body.capacity() > kKeptBodyBytes + kBodyPadding) std::string().swap(body);
      }
    } kept;
    const auto length =
        static_cast<std::size_t>(*ParseInteger(request.get_header_value("Content-Length")));
    body.clear();
    body.reserve(length + kBodyPadding);
    Connection& connection = *current_connection;
    bool fits = true;
    const bool whole = length == 0 || reader([&](const char* data, std::size_t size) {
                         if (body.size() + size > length) return false;
                         const std::size_t before = std::max(body.size(), kKeptBodyBytes);
                         const std::size_t after = std::max(body.size() + size, kKeptBodyBytes);
                         // As it comes: who announces much and sends nothing holds nothing.
                         fits = TakeLarge(connection, after - before);
                         if (fits) body.append(data, size);
                         return fits;
                       });
    if (!whole || body.size() != length) {
      connection.CloseAfterAnswer();
      response.set_header("Connection", "close");
      if (!fits) return RefuseBusy(kTooMuch, response);
      Refuse(400, "the body ended or stalled before its Content-Length", response);
      return;
    }
    body.append(kBodyPadding, '\0');
    Serve(*Find("POST", request.path), request, std::string_view(body).substr(0, length), response);
    // The answer holds nothing of it.
    Kept::GiveBack();
    GiveLarge(connection);
    if (!TakeAnswer(response)) RefuseLarge(response);
  }

  // Until the answer has been sent.
  bool TakeAnswer(const httplib::Response& response) const {
    return TakeLarge(*current_connection, LargeBytesOf(response));
  }
  // What somebody looks at goes out however large it is, one at a time.
  bool TakeAlone(const httplib::Response& response) const {
    std::size_t none = 0;
    if (!large_bytes_.compare_exchange_strong(none, LargeBytesOf(response))) return false;
    current_connection->large_bytes = LargeBytesOf(response);
    return true;
  }
  static std::size_t LargeBytesOf(const httplib::Response& response) {
    return std::max(response.body.size(), kKeptBodyBytes) - kKeptBodyBytes;
  }
  void RefuseLarge(httplib::Response& response) const {
    std::string().swap(response.body);
    response.headers.erase("Content-Encoding");
    response.headers.erase("Content-Type");
    RefuseBusy(kTooMuch, response);
  }

  void Serve(const HttpServer::Handler& handler, const httplib::Request& request,
             std::string_view body, httplib::Response& to) const {
    HttpResponse response;
    const HttpRequest asked{request.path, body, &request, current_connection->header()};
    if (!options_.admit || options_.admit(asked, response)) handler(asked, response);
    if (response.next_part != nullptr) return ServeParts(std::move(response), request, to);
    if (response.close) {
      current_connection->CloseAfterAnswer();
      to.set_header("Connection", "close");
    }
    SetResponse(std::move(response), to);
  }

  void SetHeaders(const HttpResponse& from, httplib::Response& to) const {
    to.status = from.status;
    for (const auto& [name, value] : from.headers) to.set_header(name, value);
    for (const auto& [name, value] : options_.headers) {
      if (!to.has_header(name)) to.set_header(name, value);
    }
  }

  void SetResponse(HttpResponse&& from, httplib::Response& to) const {
    SetHeaders(from, to);
    to.set_header("Content-Type", std::string(from.content_type));
    to.body.swap(from.body);
    if (!options_.compress || !IsText(from.content_type)) return;
    to.set_header("Vary", "Accept-Encoding");
    if (to.body.size() < kCompressFrom || !current_connection->accepts_gzip()) return;
    if (std::optional<std::string> smaller = Gzipped(to.body)) {
      to.body = *std::move(smaller);
      to.set_header("Content-Encoding", "gzip");
    }
  }

  void SetPartsHeader(const HttpResponse& from, httplib::Response& to) const {
    SetHeaders(from, to);
    to.set_header("Connection", "close");
    current_connection->CloseAfterAnswer();
  }

  void ServeParts(HttpResponse&& response, const httplib::Request& request,
                  httplib::Response& to) const {
    // HEAD asks for nothing that could be followed.
    if (request.method == "HEAD") return SetPartsHeader(response, to);
    const PeerPlaces::Place place =
        streams_.Take(current_connection->peer(), current_connection->socket());
    if (place == nullptr) {
      to.set_header("Retry-After", "60");
      return Refuse(503,
                    std::to_string(options_.max_streams) +
                        " clients are following already; ask for single answers instead",
                    to);
    }
    SetPartsHeader(response, to);
    current_connection->SetPartsOpen(true);
    to.set_chunked_content_provider(
        std::string(response.content_type),
        [this, next_part = std::move(response.next_part)](std::size_t, httplib::DataSink& sink) {
          std::string part;
          const bool more = next_part(part);
          current_connection->BeginPart();
          const bool sent = part.empty() || sink.write(part.data(), part.size());
          if (!sent || !current_connection->Flush()) return false;
          if (!more || draining_ || current_connection->IsPeerGone()) {
            sink.done();
            current_connection->SetPartsOpen(false);
          }
          return true;
        },
        [this, place](bool) { streams_.Give(place); });
  }

  bool Handshake(TlsTransport& transport, const PeerPlaces::Place& place) {
    const Deadline deadline = Clock::now() + options_.handshake_timeout;
    while (true) {
      const Transport::Attempt attempt = transport.Handshake();
      if (attempt.bytes > 0) return true;
      if (handshakes_.IsCut(place) || Clock::now() >= deadline) {
        transport.GiveUp();
        return false;
      }
      if (attempt.wait_for == 0) break;
      if (transport.HasAnswered()) handshakes_.Begin(place);
      if (!WaitWhileRunning(transport.fd(), attempt.wait_for, deadline, options_.last_call) &&
          Clock::now() < deadline)
        return false;
    }
    transport.Refuse(deadline);
    return false;
  }

  // The library's own, which wants to be told both ends' addresses in Debian 13's version.
  template <class Self, class Setup>
  static bool ProcessRequest(Self& self, Connection& connection, bool closing,
                             bool& closed_by_client, const Setup& setup) {
    if constexpr (requires {
                    self.process_request(connection, closing, closed_by_client, setup);
                  }) {
      return self.process_request(connection, closing, closed_by_client, setup);
    } else {
      std::string peer;
      std::string local;
      int peer_port = 0;
      int local_port = 0;
      connection.get_remote_ip_and_port(peer, peer_port);
      connection.get_local_ip_and_port(local, local_port);
      return self.process_request(connection, peer, peer_port, local, local_port, closing,
                                  closed_by_client, setup);
    }
  }

  void ServeRequests(Connection& connection, Transport& transport) {
    const bool reserved = connection.reserved() != nullptr;
    const Duration idle = reserved ? kReservedTimeout : options_.idle_timeout;
    current_connection = &connection;
    for (Duration last_call = options_.last_call; WaitForRequest(connection, idle, last_call);
         last_call = Duration(0)) {
      // The library would wait for the end of a line.
      if (connection.asks_for_tls()) {
        transport.Send(kNotTls, {}, Clock::now() + options_.request_timeout);
        transport.Linger();
        break;
      }
      connection.BeginRequest();
      bool closed_by_client = false;
      // A connection is closed only after an answer that said so: the client may have the next
      // request on its way.
      const bool closing = draining_ || reserved;
      // The library would compress as it likes: whether to is for the handler's side to say.
      const bool served = ProcessRequest(
          *this, connection, closing, closed_by_client, [&connection](httplib::Request& request) {
            connection.SetAcceptsGzip(AcceptsGzip(request.get_header_value("Accept-Encoding")));
            request.headers.erase("Accept-Encoding");
            // Nor does it bound what many ranges add up to.
            request.headers.erase("Range");
            request.ranges.clear();
          });
      connection.EndParts();
      const bool flushed = connection.Flush();
      GiveLarge(connection);
      if (connection.close_after()) {
        transport.Linger();
        break;
      }
      if (!served || !flushed || closed_by_client || closing) break;
    }
    // Nothing was asked, or not to its end.
    if (reserved && !connection.answered()) {
      NoteTurnedAway(connection);
      transport.Send(busy_, {}, Clock::now());
    }
    current_connection = nullptr;
  }

  // False when the client has left or been idle for too long, or the server stops and nothing has
  // come.
  [[nodiscard]] bool WaitForRequest(Connection& connection, Duration idle,
                                    Duration last_call) const {
    const Deadline deadline = Clock::now() + idle;
    short events = POLLIN;
    while (!connection.has_buffered()) {
      if (!connection.has_pending() &&
          !WaitWhileRunning(connection.socket(), events, deadline, last_call))
        return false;
      const Transport::Attempt got = connection.Fill();
      if (got.bytes <= 0 && got.wait_for == 0) return false;
      events = got.wait_for;
    }
    return true;
  }

  // As WaitFor(), but once the server stops no longer than `last_call`.
  [[nodiscard]] bool WaitWhileRunning(int fd, short events, Deadline deadline,
                                      Duration last_call) const {
    const auto left = std::chrono::ceil<Duration>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> waiting = {pollfd{fd, events, 0}, pollfd{stop_event_, POLLIN, 0}};
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left));
    if (ready <= 0) return false;
    return waiting[0].revents != 0 ||
           WaitFor(fd, events, std::min(deadline, Clock::now() + last_call));
  }

  const HttpServer::Options options_;
  const std::string busy_;
  const std::string machine_;
  const int stop_event_;
  std::map<std::string, Methods, std::less<>> routes_;  // fixed before Begin()
  std::thread listener_;
  int port_ = -1;
  std::atomic<bool> draining_ = false;
  PeerPlaces connections_;
  PeerPlaces reserved_;
  PeerPlaces handshakes_;
  mutable PeerPlaces streams_;
  mutable std::atomic<std::size_t> large_bytes_ = 0;
  std::atomic<std::uint64_t> accepted_ = 0;
  std::atomic<std::uint64_t> turned_away_ = 0;
  mutable std::array<std::atomic<std::uint64_t>, kRefusals.size()> refused_ = {};
};

HttpServer::HttpServer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpServer::~HttpServer() = default;

void HttpServer::Handle(std::string_view method, std::string path, Handler handler) {
  impl_->Route(method, std::move(path), std::move(handler));
}
Status HttpServer::Start() { return impl_->Begin(); }
int HttpServer::port() const { return impl_->bound_port(); }
HttpServer::Load HttpServer::load() const { return impl_->load(); }
const std::string& HttpServer::name() const { return impl_->name(); }
void HttpServer::Drain() { impl_->BeginDrain(); }
void HttpServer::Stop() { impl_->Shutdown(); }

}  // namespace sobre
