#include "evaluate/acceptance_report.h"

#include <algorithm>

namespace speculators {
namespace {

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

void grow(std::vector<int64_t>& counts, int64_t size) {
  if (static_cast<int64_t>(counts.size()) < size) counts.resize(static_cast<size_t>(size));
}

}  // namespace

void AcceptanceReport::add(const RoundRecord& record) {
  if (!record.asked) return;
  ++num_rounds;
  num_proposed += record.num_proposed;
  num_accepted += record.num_accepted;
  grow(proposed_at, record.num_proposed);
  grow(reached_at, record.num_proposed);
  grow(accepted_at, record.num_proposed);
  for (int64_t i = 0; i < record.num_proposed; ++i) {
    ++proposed_at[static_cast<size_t>(i)];
    reached_at[static_cast<size_t>(i)] += i <= record.num_accepted;
  }
  for (int64_t i = 0; i < record.num_accepted; ++i) ++accepted_at[static_cast<size_t>(i)];
}

void AcceptanceReport::add(const AcceptanceReport& other) {
  num_rounds += other.num_rounds;
  num_proposed += other.num_proposed;
  num_accepted += other.num_accepted;
  grow(proposed_at, static_cast<int64_t>(other.proposed_at.size()));
  grow(reached_at, static_cast<int64_t>(other.reached_at.size()));
  grow(accepted_at, static_cast<int64_t>(other.accepted_at.size()));
  for (size_t i = 0; i < other.proposed_at.size(); ++i) proposed_at[i] += other.proposed_at[i];
  for (size_t i = 0; i < other.reached_at.size(); ++i) reached_at[i] += other.reached_at[i];
  for (size_t i = 0; i < other.accepted_at.size(); ++i) accepted_at[i] += other.accepted_at[i];
}

double AcceptanceReport::acceptance_length() const {
  return num_rounds == 0 ? 0.0 : 1.0 + ratio(num_accepted, num_rounds);
}

// A round that stopped proposing earlier (the answer's end, too little confidence) counts only where it proposed.
std::vector<double> AcceptanceReport::acceptance_rates() const {
  std::vector<double> rates;
  for (size_t i = 0; i < accepted_at.size(); ++i) rates.push_back(ratio(accepted_at[i], reached_at[i]));
  return rates;
}

std::vector<double> AcceptanceReport::accepted_shares() const {
  std::vector<double> shares;
  for (size_t i = 0; i < accepted_at.size(); ++i) shares.push_back(ratio(accepted_at[i], proposed_at[i]));
  return shares;
}

}  // namespace speculators
