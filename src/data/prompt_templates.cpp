#include "data/prompt_templates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/errors.h"
#include "base/nearest.h"

namespace speculators {
namespace {

using Words = std::vector<std::string>;

// {name} in a template stands for a random item of the list of that name; {n}
// and {m} for small numbers.
struct PromptKind {
  std::string name;
  Words templates;
  std::vector<std::pair<std::string, Words>> slots;
};

PromptKind arithmetic_kind() {
  return {"arithmetic",
          {"What is {n} plus {m}?", "What is {n} times {m}? Show the steps.", "What is {m} minus {n}?",
           "{name} has {n} {thing} and buys {m} more. How many {thing} does "
           "{name} have now?",
           "A box holds {n} {thing}. How many {thing} are in {m} boxes?",
           "{name} had {m} {thing} and gave {n} of them to {friend}. How many "
           "{thing} are left?",
           "Count from {n} to {m}.", "Write the multiplication table of {digit} up to 10.",
           "{name} reads {digit} pages a day. How many pages does {name} read "
           "in {n} days?",
           "Is {n} larger than {m}? Explain in one sentence.", "List the first {digit} even numbers after {n}."},
          {{"name", {"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ivy", "Jack", "Kate", "Leo"}},
           {"friend", {"Mia", "Noah", "Olive", "Paul", "Quinn", "Rosa", "Sam", "Tom"}},
           {"thing",
            {"apples", "books", "pencils", "coins", "marbles", "stamps", "cards", "shells", "cookies", "stickers"}},
           {"digit", {"3", "4", "5", "6", "7", "8", "9"}}}};
}

PromptKind code_kind() {
  return {
      "code",
      {"Write a Python function that {task}.", "Write a Python function named {function} that {task}.",
       "Write a short Python program that {task} and prints the result.",
       "Write a Python function that {task}. Add a docstring.", "Write a {language} function that {task}.",
       "Write a Python test for a function that {task}.",
       "Show how to {action} a {structure} in Python with an example.",
       "Write a Python class {class} with the attributes {attribute} and "
       "{attribute2}.",
       "Write a Python loop that prints the numbers from {n} to {m}.", "Write a Python function that {listtask} {n}.",
       "Write a Python function named {function} that {listtask} {n}. Add a "
       "docstring.",
       "Write a Python function that returns the first {n} {sequence}.",
       "Write a Python program that creates a {structure} with {digit} items "
       "and shows how to {action} it.",
       "Write a SQL query that selects the {attribute} and the {attribute2} of "
       "every {table} with {attribute2} above "
       "{m}."},
      {{"task",
        {"adds two numbers",
         "returns the largest number of a list",
         "returns the smallest number of a list",
         "reverses a string",
         "counts the vowels of a string",
         "checks whether a number is prime",
         "checks whether a number is even",
         "returns the factorial of a number",
         "returns the n-th Fibonacci number",
         "sums the numbers of a list",
         "removes duplicates from a list",
         "sorts a list of numbers",
         "counts the words of a text",
         "converts Celsius to Fahrenheit",
         "checks whether a string is a palindrome",
         "returns the average of a list",
         "merges two lists",
         "finds the longest word of a sentence",
         "reads a text file line by line",
         "multiplies two matrices",
         "returns the length of a string",
         "squares every number of a list",
         "counts how often each character appears",
         "computes the greatest common divisor of two numbers"}},
       {"listtask",
        {"multiplies every number of a list by", "adds to every number of a list the number",
         "returns the numbers of a list that are larger than", "returns the numbers of a list that are smaller than",
         "counts the numbers of a list that can be divided by", "checks whether a number can be divided by",
         "returns the remainder of a division by"}},
       {"sequence",
        {"even numbers", "odd numbers", "prime numbers", "square numbers", "Fibonacci numbers", "powers of two",
         "multiples of three"}},
       {"function", {"compute", "process", "solve", "helper", "run", "calculate", "transform", "check"}},
       {"language", {"JavaScript", "Java", "C", "Ruby", "Go", "TypeScript"}},
       {"action", {"iterate over", "sort", "filter", "copy", "print", "reverse", "create", "update"}},
       {"structure", {"list", "dictionary", "tuple", "set", "string", "list of lists", "list of dictionaries"}},
       {"table", {"person", "book", "order", "product", "student", "car"}},
       {"class", {"Car", "Person", "Book", "Account", "Point", "Circle", "Animal", "Student", "Product", "Order"}},
       {"attribute", {"name", "price", "age", "title", "width", "color"}},
       {"attribute2", {"size", "owner", "year", "weight", "height", "speed"}},
       {"digit", {"3", "4", "5", "6", "7", "8", "9"}}}};
}

PromptKind explanation_kind() {
  return {
      "explanation",
      {"Explain in one sentence what {topic} is.", "What is {topic}? Answer in one sentence.",
       "Explain in two sentences what {topic} is.", "Why is {topic} important? Answer in one sentence.",
       "Name {digit} facts about {topic}.", "Name {digit} benefits of {topic}.",
       "Explain {topic} to a {reader} in one sentence.", "Why should a {reader} know about {topic}? Answer briefly.",
       "What do {topic} and {topic2} have in common? Answer in one sentence.",
       "What is the difference between {topic} and {topic2}? Answer in two sentences."},
      {{"topic", {"photosynthesis", "gravity", "the water cycle", "electricity", "recycling", "sleep",
                  "exercise",       "reading", "the internet",    "a computer",  "the moon",  "a volcano",
                  "the ocean",      "music",   "friendship",      "democracy",   "money",     "a healthy diet",
                  "teamwork",       "climate", "a rainbow",       "the heart",   "the brain", "a battery",
                  "a bicycle",      "history", "mathematics",     "patience",    "a forest",  "honesty",
                  "a library",      "rain"}},
       {"topic2",
        {"energy", "weather", "science", "art", "heat", "light", "language", "a telephone", "the sun", "a tree",
         "technology", "nature"}},
       {"reader", {"child", "student", "teacher", "friend", "farmer", "tourist", "nurse", "scientist"}},
       {"digit", {"two", "three", "four", "five", "six"}}}};
}

const std::vector<PromptKind>& kinds() {
  static const std::vector<PromptKind> all = {arithmetic_kind(), code_kind(), explanation_kind()};
  return all;
}

// Uniform in [0, bound) from the generator alone: distributions of the standard
// library differ between machines.
uint64_t draw(std::mt19937_64& random, uint64_t bound) { return random() % bound; }

std::string slot_value(const PromptKind& kind, const std::string& slot, std::mt19937_64& random) {
  if (slot == "n") return std::to_string(2 + draw(random, 28));
  if (slot == "m") return std::to_string(31 + draw(random, 60));
  for (const auto& [name, words] : kind.slots) {
    if (name == slot) return words[draw(random, words.size())];
  }
  throw std::logic_error("prompt template with an unknown slot: " + slot);
}

std::string fill_template(const PromptKind& kind, std::mt19937_64& random) {
  const std::string& form = kind.templates[draw(random, kind.templates.size())];
  std::vector<std::pair<std::string, std::string>> filled;  // a slot named twice keeps its word
  std::string text;
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i] != '{') {
      text += form[i];
      continue;
    }
    const size_t end = form.find('}', i);
    const std::string slot = form.substr(i + 1, end - i - 1);
    auto known = std::find_if(filled.begin(), filled.end(), [&](const auto& pair) { return pair.first == slot; });
    if (known == filled.end()) known = filled.insert(filled.end(), {slot, slot_value(kind, slot, random)});
    text += known->second;
    i = end;
  }
  return text;
}

// Texts of one kind in the order of its generator, each once.
std::vector<std::string> texts_of(const PromptKind& kind, int64_t count, uint64_t seed,
                                  const std::set<std::string>& excluded) {
  std::mt19937_64 random(seed * 1000003u + static_cast<uint64_t>(&kind - kinds().data()));
  std::set<std::string> seen = excluded;
  std::vector<std::string> texts;
  int misses = 0;  // in a row
  while (static_cast<int64_t>(texts.size()) < count) {
    if (misses > 50'000) {
      throw UsageError(
          fmt::format("--count: kind {} has fewer than {} different prompts; ask for fewer", kind.name, count));
    }
    std::string text = fill_template(kind, random);
    ++misses;
    if (!seen.insert(text).second) continue;
    texts.push_back(std::move(text));
    misses = 0;
  }
  return texts;
}

const PromptKind& get_kind(const std::string& name) {
  for (const PromptKind& kind : kinds()) {
    if (kind.name == name) return kind;
  }
  throw UsageError(fmt::format("--kinds: unknown kind '{}'{} (known: {})", name, did_you_mean(name, prompt_kinds()),
                               fmt::join(prompt_kinds(), ", ")));
}

}  // namespace

const std::vector<std::string>& prompt_kinds() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const PromptKind& kind : kinds()) result.push_back(kind.name);
    return result;
  }();
  return names;
}

std::vector<Prompt> make_prompts(const PromptRequest& request) {
  std::vector<Prompt> prompts;
  for (const std::string& name : request.kinds) {
    const PromptKind& kind = get_kind(name);
    std::set<std::string> excluded;
    if (request.exclude_seed >= 0) {
      const auto texts = texts_of(kind, request.exclude_count, static_cast<uint64_t>(request.exclude_seed), {});
      excluded.insert(texts.begin(), texts.end());
    }
    const auto texts = texts_of(kind, request.count, request.seed, excluded);
    for (size_t i = 0; i < texts.size(); ++i)
      prompts.push_back({fmt::format("{}-{}-{:04}", name, request.seed, i), name, texts[i]});
  }
  return prompts;
}

}  // namespace speculators
