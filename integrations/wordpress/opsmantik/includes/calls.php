<?php
/**
 * Reports of calls, signed on this server: the secret never leaves it.
 *
 * Other plugins say do_action( 'opsmantik_report_call', array( 'phone_number' => '+90…', 'event_id' => '…' ) ), or call
 * opsmantik_report_call() for the answer. Telephone systems post the same fields as JSON to
 * /wp-json/opsmantik/v1/call-event, signed in with an application password of somebody who may edit posts: an open route
 * that signs whatever it is given would make the signature worthless.
 *
 * @package OpsMantik
 */

defined( 'ABSPATH' ) || exit;

/** The fields of a report; see the documentation of POST /api/call-event/v2. */
const OPSMANTIK_CALL_FIELDS = array( 'phone_number', 'event_id', 'gclid', 'wbraid', 'gbraid', 'fingerprint', 'called_at', 'direction', 'status', 'duration_seconds' );

/**
 * Whether whoever asks may report calls through this site.
 *
 * @return bool
 */
function opsmantik_may_report() {
	return current_user_can( 'edit_posts' );
}

/**
 * Reports one call.
 *
 * @param array<string, mixed> $call Its fields; phone_number is required.
 * @return array<string, mixed>|WP_Error What the server answered: status, call_id, session_id, …
 */
function opsmantik_report_call( $call ) {
	$settings = opsmantik_settings();
	$secret   = opsmantik_secret();
	if ( '' === $settings['server'] || '' === $settings['site'] || '' === $secret ) {
		return new WP_Error( 'opsmantik_not_set', __( 'Server, site id or secret is not set.', 'opsmantik' ), array( 'status' => 409 ) );
	}
	$fields = array( 'site_id' => $settings['site'] );
	foreach ( OPSMANTIK_CALL_FIELDS as $name ) {
		if ( isset( $call[ $name ] ) && is_scalar( $call[ $name ] ) && '' !== $call[ $name ] ) {
			$fields[ $name ] = 'duration_seconds' === $name ? (int) $call[ $name ] : (string) $call[ $name ];
		}
	}
	if ( ! isset( $fields['phone_number'] ) ) {
		return new WP_Error( 'opsmantik_no_number', __( 'A call has a phone_number.', 'opsmantik' ), array( 'status' => 400 ) );
	}
	$body      = (string) wp_json_encode( $fields );
	$timestamp = (string) time();
	$answer    = wp_remote_post(
		$settings['server'] . '/api/call-event/v2',
		array(
			'body'                => $body,
			'headers'             => array(
				'Content-Type'          => 'application/json',
				'X-OpsMantik-Timestamp' => $timestamp,
				'X-OpsMantik-Signature' => 'sha256=' . hash_hmac( 'sha256', $timestamp . '.' . $body, $secret ),
			),
			'timeout'             => OPSMANTIK_SECONDS,
			'redirection'         => 0,
			'limit_response_size' => OPSMANTIK_LARGEST_BODY,
			'cookies'             => array(),
		)
	);
	if ( is_wp_error( $answer ) ) {
		return new WP_Error( 'opsmantik_unavailable', __( 'The server did not answer; send the call again.', 'opsmantik' ), array( 'status' => 503 ) );
	}
	$status = (int) wp_remote_retrieve_response_code( $answer );
	$read   = json_decode( (string) wp_remote_retrieve_body( $answer ), true );
	if ( 200 !== $status || ! is_array( $read ) ) {
		$said = is_array( $read ) && isset( $read['detail'] ) && is_string( $read['detail'] ) ? $read['detail'] : '';
		return new WP_Error( 'opsmantik_refused', $said, array( 'status' => $status >= 400 && $status <= 599 ? $status : 502 ) );
	}
	return $read;
}

/**
 * The route for telephone systems.
 *
 * @param WP_REST_Request $request Fields of a call as JSON.
 * @return WP_REST_Response|WP_Error
 */
function opsmantik_call_route( $request ) {
	$body = (string) $request->get_body();
	$call = strlen( $body ) > OPSMANTIK_LARGEST_BODY ? null : json_decode( $body, true );
	if ( ! is_array( $call ) ) {
		return new WP_Error( 'opsmantik_unreadable', __( 'The body is not a JSON object of at most 64 KiB.', 'opsmantik' ), array( 'status' => 400 ) );
	}
	$answer = opsmantik_report_call( $call );
	return is_wp_error( $answer ) ? $answer : new WP_REST_Response( $answer, 200 );
}
