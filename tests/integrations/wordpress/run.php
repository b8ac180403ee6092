<?php
// Runs the plugin once. Standard input: {"plugin": folder, "options", "user", "post", "server", "constants", "do": [...]};
// each thing to do is [name, argument]. Standard output: what came of each, and what is left, as JSON.

error_reporting( E_ALL );
set_error_handler(
	function ( $level, $message, $file, $line ) {
		if ( 0 !== ( error_reporting() & $level ) ) {
			throw new ErrorException( $message, 0, $level, $file, $line );
		}
	}
);
require __DIR__ . '/wordpress.php';

$asked = json_decode( stream_get_contents( STDIN ), true );
foreach ( array( 'options', 'user', 'transients' ) as $name ) {
	$GLOBALS[ $name ] = $asked[ $name ] ?? array();
}
$_POST    = $asked['post'] ?? array();
$_SERVER += $asked['server'] ?? array();
foreach ( $asked['constants'] ?? array() as $name => $value ) {
	define( $name, $value );
}
if ( empty( $asked['only_uninstall'] ) ) {
	require $asked['plugin'] . '/opsmantik.php';
	do_action( 'admin_menu' );
	do_action( 'admin_init' );
	do_action( 'rest_api_init' );
}

function answered( $answer ) {
	if ( is_wp_error( $answer ) ) {
		return array( 'error' => $answer->get_error_code(), 'status' => $answer->get_error_data()['status'] ?? null, 'message' => $answer->get_error_message() );
	}
	return array( 'status' => $answer->get_status(), 'headers' => $answer->get_headers(), 'data' => $answer->get_data() );
}

$came = array();
foreach ( $asked['do'] as list( $what, $with ) ) {
	ob_start();
	$result = null;
	try {
		switch ( $what ) {
			case 'head':
				do_action( 'wp_head' );
				break;
			case 'page':
				list( $capability, $callback ) = $GLOBALS['pages']['opsmantik'];
				$result                        = $capability;
				$callback();
				break;
			case 'save':
				$result                          = call_user_func( $GLOBALS['settings']['opsmantik']['sanitize_callback'], $with );
				$GLOBALS['options']['opsmantik'] = $result;
				break;
			case 'secret':
				do_action( 'admin_post_opsmantik_secret' );
				break;
			case 'report':
				$result = opsmantik_report_call( $with );
				$result = is_wp_error( $result ) ? answered( $result ) : $result;
				break;
			case 'act':
				do_action( 'opsmantik_report_call', $with );
				break;
			case 'rest':
				$route   = $GLOBALS['routes'][ $with['route'] ] ?? null;
				$path    = str_replace( '\\', '', explode( ' ', $with['route'] )[1] );
				$request = new WP_REST_Request( $path, $with['body'] ?? '', $with['headers'] ?? array() );
				if ( null === $route ) {
					$result = array( 'status' => 404 );
				} elseif ( '__return_true' !== $route['permission_callback'] && ! call_user_func( $route['permission_callback'] ) ) {
					$result = array( 'status' => 401 );
				} else {
					$answer = call_user_func( $route['callback'], $request );
					$result = answered( $answer );
					$served = is_wp_error( $answer ) ? false : apply_filters( 'rest_pre_serve_request', false, $answer, $request, null );
					$result['served'] = $served;
				}
				break;
			case 'uninstall':
				define( 'WP_UNINSTALL_PLUGIN', 'opsmantik/opsmantik.php' );
				require $asked['plugin'] . '/uninstall.php';
				break;
		}
	} catch ( Died $died ) {
		$result = array( 'died' => (int) $died->getMessage() );
	} catch ( Redirected $redirected ) {
		$result = array( 'redirected' => $redirected->getMessage() );
	}
	$came[] = array( 'result' => $result, 'printed' => ob_get_clean() );
}
echo json_encode(
	array( 'came' => $came, 'options' => (object) $GLOBALS['options'], 'transients' => (object) $GLOBALS['transients'], 'autoload' => (object) ( $GLOBALS['autoload'] ?? array() ), 'went' => $GLOBALS['went'], 'routes' => array_keys( $GLOBALS['routes'] ) )
);
