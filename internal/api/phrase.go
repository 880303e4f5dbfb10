package api

import (
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// phrases say in our words what huma finds wrong: as a sentence goes on that began
// with where it is. The first that fits counts; % is what huma says at its verb.
var phrases = []struct{ theirs, ours string }{
	{validation.MsgExpectedRequiredProperty, missing},
	{"required %s parameter is missing", missing},
	{validation.MsgUnexpectedProperty, unknown},
	{"expected length >= 1", "must not be empty"},
	{validation.MsgExpectedMinLength, "must have % characters at least"},
	{validation.MsgExpectedMaxLength, "must have % characters at most"},
	{validation.MsgExpectedMinItems, "must have % entries at least"},
	{validation.MsgExpectedMaxItems, "must have % entries at most"},
	{validation.MsgExpectedArrayItemsUnique, "must not have an entry twice"},
	{validation.MsgExpectedMinimumNumber, "must be % or more"},
	{validation.MsgExpectedMaximumNumber, "must be % or less"},
	{validation.MsgExpectedOneOf, "must be one of %"},
	{validation.MsgExpectedBePattern, "must be %"},
	{validation.MsgExpectedMatchPattern, "must match the pattern %"},
	{validation.MsgExpectedString, "must be a string"},
	{validation.MsgExpectedBoolean, "must be true or false"},
	{"invalid boolean", "must be true or false"},
	{validation.MsgExpectedInteger, "must be a whole number"},
	{"invalid integer", "must be a whole number"},
	{validation.MsgExpectedNumber, "must be a number"},
	{"invalid float", "must be a number"},
	{validation.MsgExpectedArray, "must be a list"},
	{validation.MsgExpectedObject, "must be an object"},
	{validation.MsgExpectedBase64String, "must be base64"},
	{validation.MsgExpectedRFC3339DateTime, "must be a time such as 2026-01-31T09:30:00Z"},
	{"invalid date/time for format %s", "must be a time such as 2026-01-31T09:30:00Z"},
	{errType.Error(), errType.Error()},
}

const (
	missing = "is missing"
	unknown = "is not known here"
)

// phrase is what huma says in our words, and what it says at the verb.
func phrase(said string) (ours, of string) {
	for _, p := range phrases {
		before, after, verb := strings.Cut(p.theirs, "%")
		if verb {
			after = after[1:]
		}
		rest, begins := strings.CutPrefix(said, before)
		of, ends := strings.CutSuffix(rest, after)
		if begins && ends && (verb || of == "") {
			return strings.ReplaceAll(p.ours, "%", legible(of)), of
		}
	}
	return "is wrong: " + said, ""
}

// legible is a number without an exponent, or a list without what is empty at its end.
func legible(said string) string {
	if n, err := strconv.ParseFloat(said, 64); err == nil {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return strings.TrimSuffix(said, ", ")
}

// faultOf is something that huma found wrong. A field that is missing is named, and of
// one that is not known the others are told, as of parameters.
func (o *operation) faultOf(e *huma.ErrorDetail) fault {
	message, of := phrase(e.Message)
	where := e.Location
	if message == missing && strings.HasPrefix(where, "body") {
		where += "." + of
	}
	if field, in := strings.CutPrefix(where, "body."); in && message == unknown && !strings.ContainsAny(field, ".[") {
		message += orThese(o.fields)
	}
	return fault{Location: clip(where), Message: message}
}

// bodyFields are the names that the object which is a body has.
func (s *surface) bodyFields(o *huma.Operation) map[string]bool {
	names := map[string]bool{}
	if o.RequestBody == nil || o.RequestBody.Content[typeJSON] == nil {
		return names
	}
	body := o.RequestBody.Content[typeJSON].Schema
	if body.Ref != "" {
		body = s.OpenAPI().Components.Schemas.SchemaFromRef(body.Ref)
	}
	for name := range body.Properties {
		names[name] = true
	}
	return names
}
