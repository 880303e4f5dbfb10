package llm

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mgx/internal/lazy"
)

// ErrorBody is what the error objects of all dialects have in common.
type ErrorBody struct {
	Type    string `json:"type"`
	Code    any    `json:"code"` // a string, or a number, or null
	Message string `json:"message"`
	Param   string `json:"param"`
	Status  string `json:"status"` // Google's name of the status
	// Details are Google's: why exactly, and how long to wait.
	Details []ErrorDetail `json:"details"`
	// Metadata is OpenRouter's: why a prompt was flagged.
	Metadata struct {
		Reasons []any `json:"reasons"`
	} `json:"metadata"`
}

// ErrorDetail is one of several kinds of detail; fields of others are empty.
type ErrorDetail struct {
	Reason     string `json:"reason"`     // google.rpc.ErrorInfo
	RetryDelay string `json:"retryDelay"` // google.rpc.RetryInfo, such as "34.07s"
	Violations []struct {
		QuotaID string `json:"quotaId"`
	} `json:"violations"` // google.rpc.QuotaFailure
}

// retryDelay is how long Google asks to wait, which it says in the body
// (BerriAI/litellm#25507); 0 when it does not.
func (b ErrorBody) retryDelay() time.Duration {
	for _, d := range b.Details {
		if wait, err := time.ParseDuration(d.RetryDelay); err == nil && wait > 0 {
			return min(wait, 24*time.Hour)
		}
	}
	return 0
}

// filtered reports whether a content filter or a policy refused the prompt: Azure
// and OpenAI say it by the code, OpenRouter by reasons (with a 403).
func (b ErrorBody) filtered() bool {
	code := codeText(b.Code)
	return code == "content_filter" || strings.Contains(code, "_policy") || len(b.Metadata.Reasons) > 0
}

// words is all that an error says about its kind.
func (b ErrorBody) words() string {
	words := []string{b.Type, codeText(b.Code), b.Status, b.Message}
	for _, d := range b.Details {
		words = append(words, d.Reason)
		for _, v := range d.Violations {
			words = append(words, v.QuotaID)
		}
	}
	return strings.Join(words, " ")
}

// ParseError reads a provider's error in whatever form it came: an object under
// "error", the object itself, a list of one (Gemini), a bare string, or plain text.
func ParseError(raw []byte) ErrorBody {
	var one struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"` // Mistral: a string or an object
		Detail  json.RawMessage `json:"detail"`
		Type    string          `json:"type"`
		Code    any             `json:"code"`
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 {
		raw = list[0]
	}
	if json.Unmarshal(raw, &one) != nil {
		return ErrorBody{Message: text(raw)}
	}
	var body ErrorBody
	// A field of another shape than expected must not hide the others, so only a
	// body that says nothing at all counts as not understood.
	if err := json.Unmarshal(one.Error, &body); (err == nil || isShape(err)) && (body.Message != "" || body.Type != "") {
		return body
	}
	body = ErrorBody{Type: one.Type, Code: one.Code}
	for _, m := range []json.RawMessage{one.Error, one.Message, one.Detail, raw} {
		if len(m) > 0 && string(m) != "null" {
			body.Message = text(m)
			break
		}
	}
	return body
}

// isShape reports whether err is about a field of an unexpected type; the
// others were decoded then.
func isShape(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}

// text is a JSON string's value, or the bytes as they are.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return strings.TrimSpace(string(raw))
}

var (
	saysTooLong = lazy.Regexp(`(?i)context[_ ](length|window|size)|maximum context|(prompt|input|request) is too long|too many (input )?tokens|exceeds? the (available )?context|input token count`)
	saysNoMoney = lazy.Regexp(`(?i)insufficient[_ ](quota|credits?|balance|funds)|credit balance|billing_(error|hard_limit|not_active)|payment required|exceeded_current_quota|PerDay`)
	saysNoModel = lazy.Regexp(`(?i)model_not_found|model[^.]{0,100}(does not exist|not found|not_found|not supported|unknown)|no (such )?model|unknown model|invalid model|not a valid model|^model: |no endpoints found|models/\S+ is not found|DeploymentNotFound`)
	saysNoKey   = lazy.Regexp(`API_KEY_INVALID|API_KEY_SERVICE_BLOCKED`)
)

// Classify says what a status and an error body mean. A status of 0 or 200 is an
// error reported within a stream: the body's type alone decides.
func Classify(status int, body ErrorBody) (fault Fault, noModel bool) {
	words := body.words()
	switch {
	case body.filtered() && status < 429:
		return FaultRequest, false
	case saysNoKey().MatchString(words): // Google: 400
		return FaultAuth, false
	case saysNoMoney().MatchString(words) || status == http.StatusPaymentRequired || body.Type == "billing_error":
		return FaultQuota, false
	case status == http.StatusTooManyRequests:
		return FaultRate, false
	case status < 500 && saysTooLong().MatchString(words):
		return FaultTooLong, false
	case (status == 404 || status == 400 || status == 422) && (saysNoModel().MatchString(words) || strings.HasPrefix(body.Message, "model: ")):
		return FaultRequest, true
	}
	if status == 0 || status == http.StatusOK {
		return typeFault(words), false
	}
	return statusFault(status), false
}

func statusFault(status int) Fault {
	switch {
	case status == 401 || status == 403:
		return FaultAuth
	case status == http.StatusRequestTimeout:
		return FaultTimeout
	case status == http.StatusConflict || status == http.StatusTooEarly:
		return FaultOverloaded
	case status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported:
		return FaultRequest
	case status >= 500:
		return FaultOverloaded
	}
	return FaultRequest
}

// typeFault reads the name of an error where no status came with it.
func typeFault(words string) Fault {
	words = strings.ToLower(words)
	for _, known := range []struct {
		part  string
		fault Fault
	}{
		{"authentication_error", FaultAuth},
		{"unauthenticated", FaultAuth},
		{"permission_denied", FaultAuth},
		{"permission_error", FaultAuth},
		{"invalid_api_key", FaultAuth},
		{"rate_limit", FaultRate},
		{"429", FaultRate},
		{"resource_exhausted", FaultRate},
		{"timeout", FaultTimeout},
		{"deadline_exceeded", FaultTimeout},
		{"invalid_request", FaultRequest},
		{"invalid_argument", FaultRequest},
		{"not_found_error", FaultRequest},
		{"request_too_large", FaultRequest},
		{"invalid_prompt", FaultRequest},
	} {
		if strings.Contains(words, known.part) {
			return known.fault
		}
	}
	return FaultOverloaded // overloaded_error, api_error, server_error, 502 …: all pass
}

func codeText(code any) string {
	switch c := code.(type) {
	case string:
		return c
	case float64:
		return strconv.Itoa(int(c))
	}
	return ""
}

// RetryAfter reads how long the provider asks to wait. The header is believed on
// 429, 503 and 529 only: others carry it too, and mean nothing by it.
func RetryAfter(status int, h http.Header, now time.Time) time.Duration {
	if status != 429 && status != 503 && status != 529 {
		return 0
	}
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return waitOf(ms / 1000)
	}
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return waitOf(seconds)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// waitOf is a number of seconds as a duration between 0 and a day.
func waitOf(seconds float64) time.Duration {
	if !(seconds > 0) { // NaN too
		return 0
	}
	return time.Duration(min(seconds, 86400) * float64(time.Second))
}
