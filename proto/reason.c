/* The table of reasons. HL7 codes: table 0357; HTTP statuses: RFC 9110. */
#include "reason.h"

#include <string.h>

#define SEQUENCE 100, "Segment sequence error"
#define REQUIRED 101, "Required field missing"
#define DATATYPE 102, "Data type error"
#define TABLE 103, "Table value not found"
#define MESSAGE_TYPE 200, "Unsupported message type"
#define EVENT_CODE 201, "Unsupported event code"
#define PROCESSING_ID 202, "Unsupported processing id"
#define VERSION 203, "Unsupported version id"
#define UNKNOWN_KEY 204, "Unknown key identifier"
#define DUPLICATE_KEY 205, "Duplicate key identifier"
#define INTERNAL 207, "Application internal error"

static const struct reason reasons[] = {
	/* the line */
	{"conflict", DUPLICATE_KEY, 409, false, "this line's id is booked with other content"},
	{"reversal_exceeds", DATATYPE, 422, false, "the reversal takes back more than the line has left"},
	{"reversal_of_reversal", DATATYPE, 422, false, "the line to take back is itself a reversal"},
	{"held", UNKNOWN_KEY, 200, false, "the line to take back has not arrived; the reversal is kept and booked when it does"},
	{"price_unknown", UNKNOWN_KEY, 422, false, "no amount, no unit price, and the item is not in the price list"},
	{"amount_mismatch", DATATYPE, 422, false, "amount and quantity × unit price differ"},
	{"amount_negative", DATATYPE, 422, false, "a charge is not negative"},
	{"amount_too_large", DATATYPE, 422, false, "the amount is too large"},
	{"implausible", DATATYPE, 422, false, "beyond what is plausible here; a person has to release it"},
	{"implausible_visit", DATATYPE, 422, false, "takes the visit's total beyond what is plausible here; a person has to release it"},
	{"implausible_day", DATATYPE, 422, false, "takes the visit's charges of that day beyond what is plausible here; a person has to release it"},
	{"total_negative", DATATYPE, 422, false, "takes the visit's total below zero; a person has to release it"},
	{"currency", TABLE, 422, false, "the currency is not CNY"},
	{"date_absurd", DATATYPE, 422, false, "the date makes no sense"},
	{"type_unknown", TABLE, 422, false, "the transaction type is not one we book"},
	{"field_missing", REQUIRED, 422, false, "a required field is missing"},
	{"field_unknown", TABLE, 422, false, "a member that is not known"},
	{"field_invalid", DATATYPE, 422, false, "a field is not valid"},
	/* the visit */
	{"visit_missing", REQUIRED, 422, false, "no visit number"},
	{"visit_unknown", UNKNOWN_KEY, 404, false, "no such visit"},
	{"visit_ambiguous", UNKNOWN_KEY, 409, false, "the number is several visits'; say the visit's own"},
	{"visit_cancelled", UNKNOWN_KEY, 409, false, "the visit was cancelled"},
	{"patient_mismatch", UNKNOWN_KEY, 409, false, "the visit is another patient's"},
	{"visit_merged", UNKNOWN_KEY, 409, false, "the visit was merged into another one"},
	{"visit_closed", UNKNOWN_KEY, 409, false, "the visit is billed"},
	{"visit_archived", UNKNOWN_KEY, 409, false, "the visit's lines are archived; what comes now is for a person"},
	{"visit_has_charges", UNKNOWN_KEY, 409, false, "the visit has charges: take them back first"},
	{"visit_paid", UNKNOWN_KEY, 409, false, "the visit to merge has payments"},
	{"merge_other", UNKNOWN_KEY, 409, false, "the visit was merged into another one before"},
	{"merge_self", UNKNOWN_KEY, 422, false, "a visit cannot be merged into itself"},
	/* an entry of a price list */
	{"item_unknown", UNKNOWN_KEY, 422, false, "the price list has no such item"},
	{"item_incomplete", REQUIRED, 422, false, "the price list has no such item yet, and the entry lacks its name, category or price"},
	/* the message */
	{"feed_unknown", UNKNOWN_KEY, 403, false, "the sender is not configured as a feed"},
	{"facility_unknown", UNKNOWN_KEY, 403, false, "the facility is not configured"},
	{"no_lines", SEQUENCE, 422, false, "a charge message without a charge (FT1)"},
	{"segment_missing", SEQUENCE, 422, false, "a required segment is missing"},
	{"segment_invalid", SEQUENCE, 422, false, "a line of the message is no segment"},
	{"segment_order", SEQUENCE, 422, false, "a segment is not where it belongs"},
	{"not_hl7", SEQUENCE, 400, false, "not an HL7 v2 message"},
	{"control_id_missing", REQUIRED, 422, false, "no message control id (MSH-10)"},
	{"message_type", MESSAGE_TYPE, 422, false, "the message type is not one we take"},
	{"event_code", EVENT_CODE, 422, false, "the event is not one we take"},
	{"processing_id", PROCESSING_ID, 422, false, "the processing id is not one we take"},
	{"version", VERSION, 422, false, "the HL7 version is not one we take"},
	{"charset_unknown", TABLE, 422, false, "the character set is not one we know"},
	{"charset_invalid", DATATYPE, 422, false, "the bytes are not text of their character set"},
	{"too_large", DATATYPE, 413, false, "too large"},
	{"batch_too_large", DATATYPE, 413, false, "too many messages in one frame"},
	{"certificate_required", UNKNOWN_KEY, 403, false, "the feed is accepted with its client certificate only"},
	{"feed_mismatch", UNKNOWN_KEY, 403, false, "the sender named in the message is not the one of the connection"},
	{"unavailable", INTERNAL, 503, true, "the database does not do it now; send again"},
	{"busy", INTERNAL, 503, true, "too much is in work; send again"},
	{"internal", INTERNAL, 500, false, "something went wrong on our side"},
	/* the request */
	{"bad_request", DATATYPE, 400, false, "the request is not valid HTTP"},
	{"json_invalid", DATATYPE, 400, false, "the body is not valid JSON"},
	{"unauthorized", UNKNOWN_KEY, 401, false, "a bearer token is required"},
	{"forbidden", UNKNOWN_KEY, 403, false, "the token's role may not do this"},
	{"not_found", UNKNOWN_KEY, 404, false, "no such resource"},
	{"method_not_allowed", UNKNOWN_KEY, 405, false, "the method is not allowed here"},
	{"request_timeout", INTERNAL, 408, true, "the request took too long to arrive"},
	{"header_too_large", DATATYPE, 431, false, "the request's header is too large"},
	{"too_many_connections", INTERNAL, 503, true, "too many connections"},
	{"too_many_requests", INTERNAL, 429, true, "too many failed requests from this address; wait"},
	{"expectation", DATATYPE, 417, false, "the Expect header asks for something that is not offered"},
	{"media_type", DATATYPE, 415, false, "the body is not application/json"},
	/* payments */
	{"idempotency_key_missing", REQUIRED, 400, false, "an Idempotency-Key header is required"},
	{"idempotency_mismatch", DUPLICATE_KEY, 422, false, "the Idempotency-Key was used with another body"},
	{"bill_unknown", UNKNOWN_KEY, 404, false, "no such bill"},
	{"bill_void", UNKNOWN_KEY, 409, false, "the bill was taken back; look the visit's bills up again"},
	{"bill_settled", UNKNOWN_KEY, 409, false, "nothing is owed on the bill"},
	{"bill_changed", UNKNOWN_KEY, 409, false, "the bill changed since it was read; read it again"},
	{"amount_exceeds", DATATYPE, 422, false, "the amount is more than what is owed"},
	{"payment_in_progress", UNKNOWN_KEY, 409, true, "another payment of the bill is in progress"},
	{"payment_unknown", UNKNOWN_KEY, 404, false, "no such payment"},
	{"payment_succeeded", UNKNOWN_KEY, 409, false, "the payment has succeeded"},
	{"channel_unknown", TABLE, 422, false, "the payment channel is not configured"},
	{"channel_refused", UNKNOWN_KEY, 502, false, "the payment channel refused the order"},
	{"channel_unreachable", INTERNAL, 202, true, "the payment channel did not answer; ask for the payment's state"},
	{"signature_invalid", UNKNOWN_KEY, 401, false, "the signature is not valid"},
	{"order_unknown", UNKNOWN_KEY, 404, false, "no such order"},
	{"merchant_mismatch", UNKNOWN_KEY, 422, false, "the order is another merchant's"},
	{"quarantine_unknown", UNKNOWN_KEY, 404, false, "no such quarantine entry"},
	{"lookalike_unknown", UNKNOWN_KEY, 404, false, "no such pair of charges"},
};

const struct reason *
reason_nth(unsigned n)
{
	return n < sizeof(reasons) / sizeof(reasons[0]) ? &reasons[n] : NULL;
}

const struct reason *
reason_of(const char *name)
{
	const struct reason *r;

	for (unsigned i = 0; (r = reason_nth(i)) != NULL; i++)
		if (strcmp(r->name, name) == 0)
			return r;
	return reason_of("internal");
}
