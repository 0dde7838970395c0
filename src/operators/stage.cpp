#include <tensair/error.hpp>
#include <tensair/operators/stage.hpp>

namespace tensair::operators {

void rethrow_as_lambda_threw(const plan::Operator& op) {
  try {
    throw;
  } catch (const LambdaThrew&) {
    throw;  // from an operator further down, which has named itself
  } catch (const Error&) {
    throw;  // tensair's own, from a sink further down (a full disk, …): says what failed and where
  } catch (const std::exception& error) {
    throw LambdaThrew(op.title(), error.what());
  } catch (...) {
    throw LambdaThrew(op.title(), "something that is no std::exception");
  }
}

auto stream_type(const std::type_info& record) -> std::string {
  return "Stream<" + plan::type_name(record.name()) + ">";
}

}  // namespace tensair::operators
